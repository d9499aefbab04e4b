-- unpark(pool, fn, count, touched): open the first lanes of fn that are parked at this gate.
-- keys: parked(gate), lanes(function), blocked(function), sharers(pool), lane(lane), run(id)
-- include: turn_of
local function unpark(pool, fn, count, touched)
  local at = parked(pool .. ' ' .. fn)
  local found = redis.call('ZPOPMIN', at, count)
  if #found == 0 then return end
  for i = 1, #found, 2 do redis.call('ZADD', lanes(fn), 'NX', turn_of(found[i]), found[i]) end
  if redis.call('EXISTS', at) == 0 then
    redis.call('SREM', blocked(fn), pool)
    if string.byte(pool) == 43 then redis.call('SREM', sharers(pool), fn) end
  end
  touched[fn .. '*'] = true
end
