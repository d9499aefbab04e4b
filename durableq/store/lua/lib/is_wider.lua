-- is_wider(gates, g): whether a lane has a narrower pool behind this one. There lanes take turns; at the narrowest of its pools, a throttle or a singleton the oldest run is next.
local function is_wider(gates, g)
  return (gates[g][1] == 'c' or gates[g][1] == 'r') and gates[g + 1] and gates[g + 1][1] ~= 'z'
end
