-- pause_functions: hold functions back from being claimed, or let them go on.
-- keys: meta, paused(app), functions(app), ready(function), lanes(function), work(app), bell(app)
-- include: app_of, offer
-- items: fn:str, mode:str
-- returns: per item 1 if that changed something, 0, or NO_FUNCTION
-- mode: 'wait' (what is triggered meanwhile is queued), 'skip' (it is recorded as skipped), or '' to resume. What is in hand goes on to the end of its turn.
-- `paused` in meta counts them, so that nobody looks for what is not there. Sent twice: 0.
local replies, touched = {}, {}
for i = 1, ITEMS do
  local fn, mode = item(i)
  local app, name = string.match(fn, '^([^/]+)/(.+)$')
  local was = string.match(redis.call('HGET', paused(app), name) or '', '^%a*')
  replies[i] = was ~= mode and 1 or 0
  if mode ~= '' and redis.call('HEXISTS', functions(app), name) == 0 then
    replies[i] = 'NO_FUNCTION'
  elseif mode ~= '' and was ~= mode then
    redis.call('HSET', paused(app), name, mode .. ' ' .. now_text)
    if was == '' then redis.call('HINCRBY', meta, 'paused', 1) end
  elseif mode == '' and was ~= '' then
    redis.call('HDEL', paused(app), name)
    redis.call('HINCRBY', meta, 'paused', -1)
    if redis.call('EXISTS', ready(fn)) == 1 then touched[fn] = true end
    if redis.call('EXISTS', lanes(fn)) == 1 then touched[fn .. '*'] = true end
  end
end
offer(touched)
return replies
