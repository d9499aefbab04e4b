-- free_leaving(lease_id, id, touched): the body of a run that was cancelled in hand has ended, or cannot go on: its slots return. Returns whether it had any.
-- keys: leaving(lease), slots(pool), parked(gate), lanes(function), blocked(function), sharers(pool), lane(lane), run(id)
-- include: let_go
-- The lease has what they were: the run may have been deleted.
local function free_leaving(lease_id, id, touched)
  local left = redis.call('HGET', leaving(lease_id), id)
  if not left then return false end
  local fn, held = string.match(left, '^(%S+) (.*)$')
  let_go(id, fn, held, true, touched)
  redis.call('HDEL', leaving(lease_id), id)
  return true
end
