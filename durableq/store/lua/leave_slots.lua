-- leave_slots: the turn of a run is about to end while code of it that was given up on still executes: as many slots as it has stay with the lease.
-- keys: meta, leases, run(id), leaving(lease), slots(pool)
-- include: alive, holds, gates_of
-- args: lease_id:str
-- items: id:str, epoch:int
-- returns: server time in ms, then per item '' or STALE
-- errors: LEASE_LOST when the lease has been closed or rescued: then they have returned with it
-- They are named `id~lease`: what the end of the turn gives back are the run's own, and it may be claimed again, by anybody, while that code goes on.
-- The child says by free_slots when it has ended. Sent twice: the same slots.
if not alive(lease_id) then return redis.error_reply('LEASE_LOST ' .. lease_id) end
local replies = {}
for i = 1, ITEMS do
  local id, epoch = item(i)
  local v = redis.call('HMGET', run(id), 's', 'l', 'n', 'f', 'j')
  if not holds(v, lease_id, epoch) then
    replies[i] = 'STALE'
  else
    replies[i] = ''
    if v[5] then
      local name = id .. '~' .. lease_id
      local suffix = string.match(v[5], '^%S+(.*)$')
      for _, gate in ipairs(gates_of(suffix)) do
        if gate[1] ~= 't' then redis.call('SADD', slots(gate[3]), name) end
      end
      redis.call('HSET', leaving(lease_id), name, v[4] .. suffix)
    end
  end
end
return {now, replies}
