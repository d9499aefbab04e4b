-- free_leaving(freed, lease_id, id): the body of a run that was cancelled in hand has ended, or cannot go on: its slots return by let_go(). Returns whether it had any.
-- keys: leaving(lease)
-- include: end_hold
-- The lease has what they were, as the name of a lane: the run may have been deleted.
local function free_leaving(freed, lease_id, id)
  local left = redis.call('HGET', leaving(lease_id), id)
  if not left then return false end
  end_hold(freed, id, string.match(left, '^%S+'), left, true)
  redis.call('HDEL', leaving(lease_id), id)
  return true
end
