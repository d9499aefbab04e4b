-- leave_lane(id, fn, j): take a queued run out of its lane. An empty lane stays where it is listed until it is visited, since what waits behind it relies on that visit.
-- keys: lane(lane), gated(function)
local function leave_lane(id, fn, j)
  redis.call('ZREM', gated(fn), id)
  redis.call('ZREM', lane(fn .. string.match(j, '^%S+ %S+(.*)$')), id)
end
