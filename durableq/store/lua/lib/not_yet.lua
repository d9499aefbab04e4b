-- not_yet(filed): for how many ms a wait for an event that is due must not time out yet, or nil: an event that was accepted in its time is still to be
-- routed, or to be delivered under this name, and may answer it.
-- keys: meta, events, waits(bucket), post(event)
-- So what decides is when an event was accepted, not how busy workers are, or whether there are any: while nobody routes, nobody could go on
-- with the run either. While the memory gate is closed nothing is routed; then the wait is held for 10 min at most.
local unrouted, posted, shut
local function not_yet(filed)
  if not unrouted then
    local v = redis.call('HMGET', meta, 'routed_upto', 'sent', 'routed', 'posts', 'gate')
    unrouted, posted, shut = '', tonumber(v[4] or 0) > 0, tonumber(v[5] or 0) > now
    if tonumber(v[2] or 0) > tonumber(v[3] or 0) then
      local oldest = redis.call('XRANGE', events, '(' .. v[1], '+', 'COUNT', 1)[1]
      unrouted = oldest and oldest[1] or ''
    end
  end
  if unrouted == '' and not posted then return nil end
  local bucket, ticket, event_name = string.match(filed, '^(%S+) (%S+) (.*)$')
  local member = redis.call('ZRANGEBYSCORE', waits(bucket), ticket, ticket)[1]
  local due = tonumber(string.match(member or '', '^%a %S+ %S+ %S+ (%d+) ') or 0)
  local function before(entry)
    local accepted = tonumber(string.match(entry, '^%d+'))
    return accepted and accepted <= due
  end
  if not before(unrouted) and not before(posted and redis.call('LINDEX', post(event_name), 0) or '') then return nil end
  if shut and now - due > 600000 then return nil end
  return math.min(5000, math.max(100, now - due))
end
