-- sweep_ended: take away what hangs on final runs, of at most `limit` runs and about 1 MB of their memos a call, and cancel at most 100 awaited children.
-- transition: QUEUED -> CANCELLED, RUNNING -> CANCELLED, WAITING -> CANCELLED, CANCELLED -> ABSENT
-- keys: meta, events, event_bell, idle, heard(event), waits(bucket), signals, run(id), input(id), steps(id), history(id), news(id), output(id), listens(id), watchers(id), answer(id), answers(client), ready(function), work(app), suspects(app), waiting(function), done(list), kept, void, timers, bell(app), lease(lease), held(lease), inbox(lease)
-- include: look_at, wait_of, void_wait, take_back, list_ended, offer
-- args: limit:int, keep_failed:int
-- returns: things removed, 1 if there are more
-- Until then they are without effect: whoever meets one looks at the run first. A wait's timer is the mark that it is not swept yet, so whoever
-- dies between two calls, or sweeps beside another, leaves nothing and does nothing twice. Children of a run that completed go on.
local removed, read_bytes, children, kept_bytes, ended, touched = 0, 0, 100, 0, {}, {}
local function swept(id, v)
  local all = true
  removed = removed + redis.call('ZREM', timers, 'd ' .. id)
  local memos = redis.call('HGETALL', steps(id))
  for i = 1, #memos, 2 do
    local key = memos[i]
    local kind, filed = wait_of(memos[i + 1])
    if kind == 'i' and v.s ~= 'c' and children == 0 then
      all = false
    elseif kind and redis.call('ZREM', timers, kind .. ' ' .. id .. ' ' .. key) == 1 then
      removed = removed + 1
      local bytes, cancelled = void_wait(id, v, key, kind, filed, ended, touched)
      kept_bytes = kept_bytes + bytes
      if cancelled then children = children - 1 end
    end
  end
  if v.k and string.find(v.k, 'l', 1, true) then
    for _, place in ipairs(redis.call('LRANGE', listens(id), 0, -1)) do
      take_back(place)
      removed = removed + 1
    end
    redis.call('UNLINK', listens(id))
  end
  return all
end
for _, id in ipairs(redis.call('SRANDMEMBER', void, limit)) do
  if read_bytes > 1000000 then break end
  local v = look_at(id)
  read_bytes = read_bytes + tonumber(v.m or 0)
  if swept(id, v) then redis.call('SREM', void, id) end
end
offer(touched)
kept_bytes = kept_bytes + list_ended(ended, keep_failed, keep_failed)
if kept_bytes ~= 0 then redis.call('HINCRBY', meta, 'kept_bytes', kept_bytes) end
return {removed, redis.call('EXISTS', void)}
