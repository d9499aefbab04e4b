-- void_wait(id, v, key, kind, filed, ended, touched): a pending wait of a final run goes: out of where it is filed, and its child is cancelled.
-- keys: meta, events, event_bell, idle, heard(event), waits(bucket), signals, run(id), input(id), steps(id), history(id), news(id), output(id), watchers(id), answer(id), answers(client), ready(function), suspects(app), waiting(function), void, timers, lease(lease), held(lease), inbox(lease), leaving(lease), lane(lane), lanes(function), gated(function), slots(pool), parked(gate), blocked(function), sharers(pool), lock(key), timer_bell
-- include: unfile, cancel_run, look_at
-- v is look_at(id). The caller has taken its timer away, which is the mark that this was not done yet: it is done once.
-- A child of a run that completed goes on. What a pending memo names is the child that was made with it. Returns the change of the bytes kept.
local function void_wait(id, v, key, kind, filed, ended, touched)
  unfile(id, key, kind, filed)
  if kind ~= 'i' or v.s == 'c' then return 0 end
  local child = look_at(filed)
  if not child.living then return 0 end
  local how = v.s == 'x' and 'was cancelled' or 'failed'
  return cancel_run(filed, child, 'run ' .. id .. ', which awaited it, ' .. how, ended, touched)
end
