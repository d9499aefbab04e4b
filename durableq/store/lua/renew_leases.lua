-- renew_leases: push out the leases of children that still hold them, expired or not.
-- transition: RUNNING -> RUNNING
-- keys: meta, leases
-- include: beat
-- args: lease_ms:int
-- items: lease_id:str
-- returns: server time in ms, then per lease its new expiry in ms, or LOST when it has been closed or rescued
-- This is also what tells the namespace that time passes under somebody's eyes.
beat(lease_ms)
local replies = {}
for i = 1, ITEMS do
  local lease_id = item(i)
  if redis.call('ZSCORE', leases, lease_id) then
    redis.call('ZADD', leases, now + lease_ms, lease_id)
    replies[i] = now + lease_ms
  else
    replies[i] = 'LOST'
  end
end
return {now, replies}
