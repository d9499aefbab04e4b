-- close_lease: end the lease of a child that died or left, and hand back what it has, at most `limit` runs a call.
-- transition: RUNNING -> QUEUED, RUNNING -> FAILED, FAILED -> ABSENT, RUNNING -> RUNNING, WAITING -> QUEUED, WAITING -> WAITING, QUEUED -> QUEUED
-- keys: meta, leases, dead, lease(lease), held(lease), inbox(lease), run(id), input(id), steps(id), history(id), news(id), output(id), ready(function), suspects(app), work(app), bell(app), done(list), kept, void, event_bell, timers, events, idle, heard(event), waits(bucket), signals, watchers(id), answer(id), answers(client), waiting(function), lane(lane), lanes(function), gated(function), slots(pool), parked(gate), blocked(function), sharers(pool), lock(key), leaving(lease), timer_bell
-- include: free_runs
-- args: lease_id:str, crashed:int, reason:str, limit:int, keep_failed:int
-- returns: server time in ms, runs freed, 1 if runs remain: call again
-- The lease is declared dead first, so nothing of it is written any more. crashed 1 counts a death against each run in hand.
-- Sent twice, or after a rescue: goes on with what is left.
if redis.call('ZREM', leases, lease_id) == 1 then
  redis.call('ZADD', dead, now, lease_id)
  redis.call('HSET', lease(lease_id), 'crashed', crashed, 'reason', reason)
end
if not redis.call('ZSCORE', dead, lease_id) then return {now, 0, 0} end
local counts = redis.call('HMGET', meta, 'sent', 'routed', 'posts')
local posted = tonumber(counts[3] or 0) > 0
if counts[1] ~= counts[2] or posted then
  -- It may have been the one that was rung to route, or that delivers.
  redis.call('XADD', event_bell, 'MAXLEN', 1, '*', 'e', posted and '2' or '1')
end
local freed = free_runs(lease_id, limit, keep_failed)
return {now, freed, redis.call('EXISTS', held(lease_id))}
