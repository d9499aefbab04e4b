-- release_runs: give runs back unworked, at the place in their queue where they were.
-- transition: RUNNING -> QUEUED
-- keys: meta, leases, lease(lease), held(lease), run(id), news(id), ready(function), suspects(app), work(app), bell(app), lane(lane), lanes(function), gated(function), slots(pool), parked(gate), blocked(function), sharers(pool), timers, timer_bell
-- include: alive, holds, queue_run, offer, end_alone
-- rarely: end_hold, let_go
-- args: lease_id:str
-- items: id:str, epoch:int
-- returns: server time in ms, then per item '' or STALE
-- errors: LEASE_LOST when the lease has been closed or rescued
if not alive(lease_id) then return redis.error_reply('LEASE_LOST ' .. lease_id) end
local replies, touched, freed = {}, {}, {}
for i = 1, ITEMS do
  local id, epoch = item(i)
  local v = redis.call('HMGET', run(id), 's', 'l', 'n', 'f', 'c', 'x', 'o', 'j')
  if not holds(v, lease_id, epoch) then
    replies[i] = 'STALE'
  else
    redis.call('HDEL', run(id), 'l', 'o')
    if v[7] then redis.call('UNLINK', news(id)) end
    redis.call('SREM', held(lease_id), id)
    if v[8] then end_hold(freed, id, v[4], v[8], false) end
    queue_run(id, v[4], v[5], v[6], touched, v[8])
    end_alone(lease_id, v[6])
    replies[i] = ''
  end
end
if next(freed) then let_go(freed, touched) end
offer(touched)
return {now, replies}
