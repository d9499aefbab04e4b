-- queue_lanes(name, fn, placed, ids, touched): put runs (place, id, flat; and their ids) into a lane of fn, and open the lane if it was empty.
-- keys: lane(lane), lanes(function), gated(function), run(id)
-- include: turn_of
-- Whether the gates are open is seen when the lane is visited. A lane that had runs is open or parked already; with priorities these may bring it forward.
local function queue_lanes(name, fn, placed, ids, touched)
  local key = lane(name)
  redis.call('SADD', gated(fn), unpack(ids))
  redis.call('ZADD', key, unpack(placed))
  if redis.call('ZCARD', key) == #ids then
    redis.call('ZADD', lanes(fn), 'NX', turn_of(name), name)
    touched[fn .. '*'] = true
  elseif string.find(name, ' p=1', 1, true) then
    redis.call('ZADD', lanes(fn), 'XX', 'LT', turn_of(name), name)
  end
end
