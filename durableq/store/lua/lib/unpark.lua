-- unpark(pool, fn, count, touched): open the first lanes of fn that are parked at this gate.
-- keys: parked(gate), lanes(function), blocked(function), sharers(pool), lane(lane), run(id)
-- include: turn_of, has_parked
-- rarely: own_turn
-- Where none is parked it is not asked again in this call, unless the call itself parks some.
local none_parked = {}
local function unpark(pool, fn, count, touched)
  local gate = pool .. ' ' .. fn
  if none_parked[gate] or not has_parked(fn) then return end
  local at = parked(gate)
  local found = redis.call('ZPOPMIN', at, count)
  for i = 1, #found, 2 do
    local turn = string.byte(pool) == 43 and own_turn(pool, fn, found[i], found[i + 1]) or turn_of(found[i])
    redis.call('ZADD', lanes(fn), 'NX', turn, found[i])
  end
  if #found < 2 * count or redis.call('EXISTS', at) == 0 then
    none_parked[gate] = true
    if #found == 0 then return end
    redis.call('SREM', blocked(fn), pool)
    if string.byte(pool) == 43 then redis.call('ZREM', sharers(pool), fn) end
  end
  touched[fn .. '*'] = true
end
