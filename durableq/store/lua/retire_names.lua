-- retire_names: forget names that nothing has waited for in some time, and what is too old in the buffers of the others.
-- keys: meta, names, idle, heard(event), recent(event), post(event), echoes
-- include: hear, set_echo
-- args: after_ms:int, limit:int, above:int
-- returns: names forgotten, 1 if there are more; above which version the next call trims (0: from the first)
-- Not while one of its entries is still to be delivered. A name that is waited for again begins anew, with a new version.
-- A system event that nothing waits for any more is not written any more, unless a function listens to it.
-- Routing trims the buffer of a name that has events; here are trimmed those of names that have none any more, `limit` a call.
local found = redis.call('ZRANGEBYSCORE', idle, '-inf', now - after_ms, 'LIMIT', 0, limit)
local forgotten = 0
for _, event_name in ipairs(found) do
  if redis.call('EXISTS', post(event_name)) == 1 then
    redis.call('ZADD', idle, now, event_name)
  else
    redis.call('ZREM', idle, event_name)
    redis.call('ZREM', names, event_name)
    redis.call('UNLINK', heard(event_name), recent(event_name))
    local sort = SORT_OF[event_name]
    if sort then set_echo('', (string.gsub(redis.call('HGET', echoes, '') or '', sort, ''))) end
    forgotten = forgotten + 1
  end
end
-- Nobody looks back beyond 10 min before the cursor. Where no event of any name has come for an hour, the clock must do.
local cursor_ms = tonumber(string.match(redis.call('HGET', meta, 'routed_upto'), '^%d+'))
local horizon = string.format('%d', math.max(0, cursor_ms - 600000, now - 3600000))
local some = redis.call('ZRANGEBYSCORE', names, '(' .. above, '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
for i = 1, #some, 2 do redis.call('XTRIM', recent(some[i]), 'MINID', '~', horizon, 'LIMIT', 1000) end
return {forgotten, #found == limit and 1 or 0, #some / 2 == limit and tonumber(some[#some]) or 0}
