-- free_slots: the bodies of runs that were cancelled in hand have ended: what they held returns.
-- keys: meta, leases, leaving(lease), run(id), slots(pool), parked(gate), blocked(function), sharers(pool), lane(lane), lanes(function), work(app), bell(app), timers, timer_bell
-- include: alive, free_leaving, let_go, offer
-- args: lease_id:str
-- items: id:str
-- returns: runs of which something has returned
-- errors: LEASE_LOST when the lease has been closed or rescued: then they return with it
-- Sent twice: they are gone. A comparison of hands finds what was not said.
if not alive(lease_id) then return redis.error_reply('LEASE_LOST ' .. lease_id) end
local count, freed, touched = 0, {}, {}
for i = 1, ITEMS do
  if free_leaving(freed, lease_id, item(i)) then count = count + 1 end
end
let_go(freed, touched)
offer(touched)
return count
