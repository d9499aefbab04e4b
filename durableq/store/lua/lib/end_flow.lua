-- end_flow(id, j): a run with gates is final: its singleton's key is free, unless a newer run has taken that over.
-- keys: lock(key)
local function end_flow(id, j)
  local key = string.match(j, ' z=(%S+)')
  if key and redis.call('GET', lock(key)) == id then redis.call('DEL', lock(key)) end
end
