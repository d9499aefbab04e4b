-- end_flow(id, fn, touched): a run with gates is final: it gives back all slots, and the singleton's key.
-- keys: run(id), lock(key), slots(pool), parked(gate), lanes(function), blocked(function), sharers(pool), lane(lane)
-- include: let_go
-- Of a final run `h` says what it had. A key that a newer run has taken over stays with that one.
local function end_flow(id, fn, touched)
  local v = redis.call('HMGET', run(id), 'h', 'z')
  if v[1] then let_go(id, fn, v[1], true, touched) end
  if v[2] and redis.call('GET', lock(v[2])) == id then redis.call('DEL', lock(v[2])) end
end
