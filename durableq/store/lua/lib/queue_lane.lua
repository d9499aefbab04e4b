-- queue_lane(id, fn, j, touched): put a run that has gates into its lane, and open the lane if it was empty.
-- keys: lane(lane), lanes(function), gated(function), run(id)
-- include: turn_of
-- j: `place priority gates`. Whether the gates are open is seen when the lane is visited. A lane that had runs is open or parked already.
local function queue_lane(id, fn, j, touched)
  local place, priority, gates = string.match(j, '^(%S+) (%S+)(.*)$')
  local name = fn .. gates
  redis.call('ZADD', gated(fn), place, id)
  redis.call('ZADD', lane(name), place, id)
  if redis.call('ZCARD', lane(name)) == 1 then
    redis.call('ZADD', lanes(fn), 'NX', turn_of(name), name)
    touched[fn .. '*'] = true
  elseif tonumber(priority) > 0 then
    redis.call('ZADD', lanes(fn), 'XX', 'LT', turn_of(name), name)
  end
end
