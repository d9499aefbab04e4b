-- finish_runs: the function returned, or failed for good.
-- transition: RUNNING -> COMPLETED, RUNNING -> FAILED, COMPLETED -> ABSENT, FAILED -> ABSENT, RUNNING -> RUNNING, WAITING -> QUEUED, WAITING -> WAITING, QUEUED -> QUEUED
-- keys: meta, leases, lease(lease), held(lease), run(id), input(id), steps(id), history(id), news(id), output(id), done(list), kept, void, timers, events, event_bell, idle, heard(event), waits(bucket), signals, watchers(id), answer(id), answers(client), ready(function), work(app), suspects(app), waiting(function), bell(app), inbox(lease), lane(lane), lanes(function), gated(function), slots(pool), parked(gate), blocked(function), sharers(pool), lock(key), timer_bell
-- include: alive, holds, end_run, list_ended, end_alone, offer
-- rarely: end_hold, let_go
-- args: lease_id:str, keep_completed:int, keep_failed:int
-- items: id:str, epoch:int, state:str, out:bytes
-- returns: server time in ms, then per item '' or STALE
-- errors: LEASE_LOST when the lease has been closed or rescued
-- out is the encoded result ('' for None) or failure. Sent twice: the second finds the run final and says STALE.
-- The run that invoked it has its result by the same act (that is the other transitions), and so has who watches from outside.
if not alive(lease_id) then return redis.error_reply('LEASE_LOST ' .. lease_id) end
local replies, kept_bytes, ended, let_go_of, touched, freed = {}, 0, {}, {}, {}, nil
for i = 1, ITEMS do
  local id, epoch, state, out = item(i)
  local v = redis.call('HMGET', run(id), 's', 'l', 'n', 'f', 'm', 't', 'o', 'x', 'k', 'j')
  if not holds(v, lease_id, epoch) then
    replies[i] = 'STALE'
  else
    kept_bytes = kept_bytes + end_run(id, v[4], state, out, {v[5], v[6], v[7], v[9], v[10]}, ended, touched)
    if v[10] then
      freed = freed or {}
      end_hold(freed, id, v[4], v[10], true)
    end
    let_go_of[#let_go_of + 1] = id
    end_alone(lease_id, v[8])
    replies[i] = ''
  end
end
if #let_go_of > 0 then redis.call('SREM', held(lease_id), unpack(let_go_of)) end
if freed then let_go(freed, touched) end
offer(touched)
kept_bytes = kept_bytes + list_ended(ended, keep_completed, keep_failed)
if kept_bytes ~= 0 then redis.call('HINCRBY', meta, 'kept_bytes', kept_bytes) end
return {now, replies}
