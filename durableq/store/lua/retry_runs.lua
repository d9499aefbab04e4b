-- retry_runs: code outside steps failed and has attempts left: the run waits for its next attempt.
-- transition: RUNNING -> WAITING
-- keys: meta, leases, lease(lease), held(lease), run(id), history(id), news(id), waiting(function), timers, timer_bell, slots(pool), parked(gate), blocked(function), sharers(pool), lanes(function), lane(lane), work(app), bell(app)
-- include: alive, holds, remember, ring_timers, end_alone, offer
-- rarely: end_hold, let_go
-- args: lease_id:str
-- items: id:str, epoch:int, attempt:int, due_at_ms:int, note:bytes
-- returns: server time in ms, then per item '' or STALE
-- errors: LEASE_LOST when the lease has been closed or rescued
-- Until due_at_ms nothing else makes the run ready: a wait that ends meanwhile is recorded and waits with it.
if not alive(lease_id) then return redis.error_reply('LEASE_LOST ' .. lease_id) end
local replies, earliest, touched, freed = {}, nil, {}, {}
for i = 1, ITEMS do
  local id, epoch, attempt, due_at_ms, note = item(i)
  local v = redis.call('HMGET', run(id), 's', 'l', 'n', 'f', 'x', 'o', 'c', 't', 'j')
  if not holds(v, lease_id, epoch) then
    replies[i] = 'STALE'
  else
    local pending = tonumber(v[8] or 0) + redis.call('ZADD', timers, due_at_ms, 'd ' .. id)
    redis.call('HSET', run(id), 's', 'w', 'l', '', 'a', attempt, 'd', due_at_ms, 't', pending)
    if v[5] or v[6] then redis.call('HDEL', run(id), 'x', 'o') end
    if v[6] then redis.call('UNLINK', news(id)) end
    redis.call('SREM', held(lease_id), id)
    redis.call('ZADD', waiting(v[4]), v[7], id)
    if v[9] then end_hold(freed, id, v[4], v[9], false) end
    remember(id, 'retry', '-', note)
    end_alone(lease_id, v[5])
    earliest = math.min(earliest or due_at_ms, due_at_ms)
    replies[i] = ''
  end
end
if next(freed) then
  let_go(freed, touched)
  offer(touched)
end
if earliest then ring_timers(earliest) end
return {now, replies}
