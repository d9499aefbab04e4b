-- queue_lanes(name, fn, runs, urgent, touched): put runs (place, id, flat) into a lane of fn, and open the lane if it was empty.
-- keys: lane(lane), lanes(function), gated(function), run(id)
-- include: turn_of
-- Whether the gates are open is seen when the lane is visited. A lane that had runs is open or parked already. urgent: of some the priority may bring the lane forward.
local function queue_lanes(name, fn, runs, urgent, touched)
  redis.call('ZADD', gated(fn), unpack(runs))
  redis.call('ZADD', lane(name), unpack(runs))
  if redis.call('ZCARD', lane(name)) == #runs / 2 then
    redis.call('ZADD', lanes(fn), 'NX', turn_of(name), name)
    touched[fn .. '*'] = true
  elseif urgent then
    redis.call('ZADD', lanes(fn), 'XX', 'LT', turn_of(name), name)
  end
end
