-- cancel_runs: end runs as cancelled, wherever they are.
-- transition: QUEUED -> CANCELLED, RUNNING -> CANCELLED, WAITING -> CANCELLED, CANCELLED -> ABSENT, WAITING -> QUEUED, WAITING -> WAITING, QUEUED -> QUEUED, RUNNING -> RUNNING
-- keys: meta, events, event_bell, idle, heard(event), waits(bucket), signals, run(id), input(id), steps(id), history(id), news(id), output(id), watchers(id), answer(id), answers(client), ready(function), work(app), suspects(app), waiting(function), done(list), kept, void, timers, bell(app), lease(lease), held(lease), inbox(lease), lane(lane), lanes(function), gated(function), slots(pool), parked(gate), blocked(function), sharers(pool), lock(key), leaving(lease), timer_bell
-- include: look_at, cancel_run, list_ended, offer
-- args: why:str, keep_failed:int
-- items: id:str
-- returns: server time in ms, then per item '' (it is cancelled now), the letter of the final state that it had, or ABSENT; then 1 if something is to be swept
-- Nothing of a cancelled run is recorded any more. What hangs on it, awaited children too, is void: sweep_ended takes it away.
-- Sent twice: the second is told x. (The other transitions are those of runs that awaited it.)
local replies, ended, touched, kept_bytes = {}, {}, {}, 0
for i = 1, ITEMS do
  local id = item(i)
  local v = look_at(id)
  if v.living then
    kept_bytes = kept_bytes + cancel_run(id, v, why, ended, touched)
    replies[i] = ''
  else
    replies[i] = v.s or 'ABSENT'
  end
end
offer(touched)
kept_bytes = kept_bytes + list_ended(ended, keep_failed, keep_failed)
if kept_bytes ~= 0 then redis.call('HINCRBY', meta, 'kept_bytes', kept_bytes) end
return {now, replies, redis.call('EXISTS', void)}
