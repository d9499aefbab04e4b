-- register_lease: begin a child's lease, with the functions it can execute.
-- keys: meta, leases, dead, lease(lease), inbox(lease), bell(app)
-- args: lease_id:str, lease_ms:int, worker:str, app_ids:str, release:str
-- items: fn:str, finish_ms:int
-- returns: server time in ms, expiry in ms
-- errors: LEASE_LOST when a lease of this id has been closed or rescued
-- finish_ms: by when a run of the function must end, from its first claim; 1 where it need not.
-- Sent twice: the same lease. app_ids are separated by spaces.
if redis.call('ZSCORE', dead, lease_id) then return redis.error_reply('LEASE_LOST ' .. lease_id) end
redis.call('HSET', lease(lease_id), 'worker', worker, 'apps', app_ids, 'release', release, 'since_ms', now)
for i = 1, ITEMS do
  local fn, finish_ms = item(i)
  redis.call('HSET', lease(lease_id), 'f:' .. fn, string.format('%d', finish_ms))
end
redis.call('ZADD', leases, now + lease_ms, lease_id)
if redis.call('EXISTS', inbox(lease_id)) == 0 then
  redis.call('XGROUP', 'CREATE', inbox(lease_id), GROUP, '$', 'MKSTREAM')
end
for app in string.gmatch(app_ids, '%S+') do
  if redis.call('EXISTS', bell(app)) == 0 then
    redis.call('XGROUP', 'CREATE', bell(app), GROUP, '$', 'MKSTREAM')
  end
end
return {now, now + lease_ms}
