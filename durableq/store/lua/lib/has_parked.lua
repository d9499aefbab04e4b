-- has_parked(fn): whether any lanes of a function are parked. Asked once a call: who parks one says so in `parked_known`.
-- keys: blocked(function)
local parked_known = {}
local function has_parked(fn)
  if parked_known[fn] == nil then parked_known[fn] = redis.call('EXISTS', blocked(fn)) == 1 end
  return parked_known[fn]
end
