-- tick_cron: perform due ticks of a cron trigger: create a run for each, and settle every tick up to upto_ms.
-- transition: ABSENT -> QUEUED
-- include: app_of, offer, has_worker, new_run, echo
-- admission: refused with QUEUE_FULL while the memory gate is closed
-- keys: meta, crons, cron(trigger), started(trigger), absent(app), leases, lease(lease), events, event_bell, names, idle, heard(event), waits(bucket), echoes, run(id), input(id), listens(id), ready(function), work(app), timers, timer_bell, bell(app), waiting(function), flow(app), paused(app), once(key), rate(key), lock(key), skips(function), skipped(app), lane(lane), lanes(function), gated(function), parked(gate), blocked(function), debounce(key), batch(key), batching(key), holding(function)
-- args: trigger:str, spec:bytes, after_ms:int, upto_ms:int, missed:int, next_ms:int, look_at_ms:int, overlap:str
-- items: tick_ms:int, id:str, blob:bytes, extras:bytes
-- returns: runs created, ticks skipped, 1 if nothing was done since no worker has the function
-- errors: QUEUE_FULL when Redis is nearly out of memory, CRON_MOVED when the trigger is not the one that the caller has seen, or not where
--   it was, or a tick lies in the future, or was settled before
-- The caller names what it has seen: the trigger's spec, and after_ms, up to where its ticks were settled. Whoever comes second,
-- sends twice or has missed a deployment is refused. Without items only the next look is set, or missed ticks are settled.
-- extras: what the function's declaration asks for (dress_run).
-- A tick is skipped, with overlap 'skip', while a run that the trigger has started is not final.
local fn = string.match(trigger, '^%S+')
local app, name = string.match(fn, '^([^/]+)/(.+)$')
local known = redis.call('HMGET', cron(trigger), 'spec', 'upto')
local forward = upto_ms > after_ms and upto_ms <= now
local fits = known[1] == spec and tonumber(known[2]) == after_ms and (forward or upto_ms == after_ms)
for i = 1, ITEMS do
  local tick_ms = item(i)
  fits = fits and tick_ms > after_ms and tick_ms <= upto_ms
end
if not fits then
  return redis.error_reply('CRON_MOVED ' .. (known[2] or 'gone'))
end
if forward and redis.call('ZSCORE', absent(app), name) and not has_worker(fn) then
  -- The newest deployment lacks the function: it is about to be retired, or to come back with another release.
  redis.call('ZADD', crons, now + 10000, trigger)
  return {0, 0, 1}
end
redis.call('HSET', cron(trigger), 'upto', string.format('%d', upto_ms), 'next', string.format('%d', next_ms))
redis.call('ZADD', crons, look_at_ms, trigger)
if missed > 0 then
  redis.call('HINCRBY', cron(trigger), 'missed', missed)
  redis.call('HSET', cron(trigger), 'missed_at', now_text)
end
local function unfinished()
  for _, id in ipairs(redis.call('SMEMBERS', started(trigger))) do
    local state = redis.call('HGET', run(id), 's')
    if state == 'q' or state == 'r' or state == 'w' then return id end
    redis.call('SREM', started(trigger), id)
  end
end
-- Where overlap is allowed the set may be long, and only has to be kept from growing.
local function forget_some()
  for _, id in ipairs(redis.call('SRANDMEMBER', started(trigger), ITEMS + 100)) do
    local state = redis.call('HGET', run(id), 's')
    if state ~= 'q' and state ~= 'r' and state ~= 'w' then redis.call('SREM', started(trigger), id) end
  end
end
if ITEMS > 0 and overlap ~= 'skip' then forget_some() end
local created, skipped, touched = 0, 0, {}
for i = 1, ITEMS do
  local tick_ms, id, blob, extras = item(i)
  local before = overlap == 'skip' and unfinished()
  if before then
    skipped = skipped + 1
    redis.call('HINCRBY', cron(trigger), 'skipped', 1)
    redis.call('HSET', cron(trigger), 'skipped_tick', string.format('%d', tick_ms), 'skipped_for', before)
  elseif new_run(id, fn, blob, extras, touched) == 'created' then
    created = created + 1
    redis.call('SADD', started(trigger), id)
    redis.call('HINCRBY', cron(trigger), 'ticks', 1)
    redis.call('HSET', cron(trigger), 'tick', string.format('%d', tick_ms), 'run', id)
    echo(id, 't', nil)
  end
end
offer(touched)
return {created, skipped, 0}
