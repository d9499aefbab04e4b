-- rescue_leases: make the runs of leases that ran out unrenewed ready again, at most `limit` runs a call.
-- transition: RUNNING -> QUEUED, RUNNING -> FAILED, FAILED -> ABSENT, RUNNING -> RUNNING, WAITING -> QUEUED, WAITING -> WAITING, QUEUED -> QUEUED
-- keys: meta, leases, dead, lease(lease), held(lease), inbox(lease), run(id), input(id), steps(id), history(id), news(id), output(id), ready(function), suspects(app), work(app), bell(app), done(list), kept, void, event_bell, timers, events, idle, heard(event), waits(bucket), signals, watchers(id), answer(id), answers(client), waiting(function), lane(lane), lanes(function), gated(function), slots(pool), parked(gate), blocked(function), sharers(pool), lock(key), leaving(lease), timer_bell
-- include: free_runs, beat
-- args: lease_ms:int, limit:int, keep_failed:int
-- returns: server time in ms, leases declared dead, runs freed, ms until the next round is due, 1 if timers are to be swept
-- A lease is declared dead first, then its runs are freed. Not within one lease time of a gap in the beat.
local hold_off = beat(lease_ms)
-- Only schedulers call this, so it is also the sign that one is there.
redis.call('HSET', meta, 'scheduler_at_ms', now_text)
-- A clock that stepped back would leave a dead child's lease alive for as long as the step was.
for _, lease_id in ipairs(redis.call('ZRANGEBYSCORE', leases, '(' .. (now + lease_ms), '+inf', 'LIMIT', 0, 100)) do
  redis.call('ZADD', leases, 'XX', now + lease_ms, lease_id)
end
local died = 0
if hold_off == 0 then
  for _, lease_id in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, 100)) do
    redis.call('ZREM', leases, lease_id)
    redis.call('ZADD', dead, now, lease_id)
    redis.call('HSET', lease(lease_id), 'crashed', 1, 'reason', 'its lease ran out')
    died = died + 1
  end
end
if died > 0 then
  redis.call('XADD', event_bell, 'MAXLEN', 1, '*', 'e', '2')
end
local freed = 0
for _, lease_id in ipairs(redis.call('ZRANGE', dead, 0, 99)) do
  if freed < limit then freed = freed + free_runs(lease_id, limit - freed, keep_failed) end
end
local wait = hold_off
if redis.call('EXISTS', dead) == 1 then
  wait = 0
elseif hold_off == 0 then
  local first = redis.call('ZRANGE', leases, 0, 0, 'WITHSCORES')
  wait = first[2] and math.max(0, tonumber(first[2]) - now) or lease_ms
end
return {now, died, freed, math.min(wait, 1500), redis.call('EXISTS', void)}
