-- leave_lane(id, fn, j, begun): take a queued run out of its lane. An empty lane stays where it is listed until it is visited, since what waits behind it relies on that visit.
-- keys: lane(lane), gated(function), ready(function)
-- include: gates_of
local function leave_lane(id, fn, j, begun)
  local suffix = string.match(j, '^%S+(.*)$')
  if begun then suffix = gates_of(suffix).later end
  if suffix == '' then
    redis.call('ZREM', ready(fn), id)
  else
    redis.call('SREM', gated(fn), id)
    redis.call('ZREM', lane(fn .. suffix), id)
  end
end
