-- retire_names: forget names that nothing has waited for in some time, with their buffers.
-- keys: meta, names, idle, heard(event), recent(event), post(event)
-- args: after_ms:int, limit:int
-- returns: names forgotten, 1 if there are more
-- Not while one of its entries is still to be delivered. A name that is waited for again begins anew, with a new version.
local found = redis.call('ZRANGEBYSCORE', idle, '-inf', now - after_ms, 'LIMIT', 0, limit)
local forgotten = 0
for _, event_name in ipairs(found) do
  if redis.call('EXISTS', post(event_name)) == 1 then
    redis.call('ZADD', idle, now, event_name)
  else
    redis.call('ZREM', idle, event_name)
    redis.call('ZREM', names, event_name)
    redis.call('UNLINK', heard(event_name), recent(event_name))
    forgotten = forgotten + 1
  end
end
return {forgotten, #found == limit and 1 or 0}
