-- release_strangers: give back what the lease holds in Redis but its child does not know of, since a reply was lost.
-- transition: RUNNING -> QUEUED
-- keys: meta, leases, lease(lease), held(lease), run(id), news(id), ready(function), suspects(app), work(app), bell(app), lane(lane), lanes(function), gated(function), slots(pool), parked(gate), blocked(function), sharers(pool), leaving(lease), timers, timer_bell
-- include: alive, queue_run, offer
-- rarely: end_hold, free_leaving, let_go
-- args: lease_id:str, limit:int, number:int
-- items: id:str
-- returns: server time in ms, the runs given back, the runs that the child names but the lease does not hold
-- errors: LEASE_LOST when the lease has been closed or rescued
-- The items are what the child has in hand; it sends them on the connection of its claims, with no claim under way.
if not alive(lease_id) then return redis.error_reply('LEASE_LOST ' .. lease_id) end
local last = tonumber(redis.call('HGET', lease(lease_id), 'claim') or -1)
if last > number then return {now, {}, {}} end
if last < number then redis.call('HSET', lease(lease_id), 'claim', number, 'claimed', '') end
local mine, named, touched, released, lost, freed = {}, {}, {}, {}, {}, {}
for i = 1, ITEMS do
  mine[item(i)] = true
  named[item(i)] = true
end
for _, id in ipairs(redis.call('SMEMBERS', held(lease_id))) do
  if mine[id] then
    mine[id] = nil
  elseif #released < limit then
    local v = redis.call('HMGET', run(id), 's', 'l', 'f', 'c', 'x', 'o', 'j')
    if v[1] == 'r' and v[2] == lease_id then
      redis.call('HDEL', run(id), 'l', 'o')
      if v[6] then redis.call('UNLINK', news(id)) end
      if v[7] then end_hold(freed, id, v[3], v[7], false) end
      queue_run(id, v[3], v[4], v[5], touched, v[7])
      released[#released + 1] = id
      if redis.call('HGET', lease(lease_id), 'alone') == id then redis.call('HDEL', lease(lease_id), 'alone', 'doing') end
    end
    redis.call('SREM', held(lease_id), id)
  end
end
-- Of what is left the child names what has not ended. While it has the run itself it may not know the other names yet: they came to be on another connection.
local left = limit
for _, id in ipairs(redis.call('HKEYS', leaving(lease_id))) do
  if left > 0 and not named[id] and not named[string.match(id, '^[^~]+')] then
    free_leaving(freed, lease_id, id)
    left = left - 1
  end
end
for id in pairs(mine) do lost[#lost + 1] = id end
if next(freed) then let_go(freed, touched) end
offer(touched)
return {now, released, lost}
