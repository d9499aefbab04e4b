-- cancel_run(id, v, why, ended, touched): a living run ends as cancelled, wherever it is. Returns the change of the bytes kept.
-- keys: meta, run(id), input(id), output(id), steps(id), history(id), news(id), void, held(lease), lease(lease), inbox(lease), waiting(function), ready(function), suspects(app), timers, heard(event), idle, waits(bucket), signals, watchers(id), answer(id), answers(client), events, event_bell, leaving(lease), lane(lane), lanes(function), gated(function), slots(pool), parked(gate), blocked(function), sharers(pool), lock(key), timer_bell
-- include: app_of, end_alone, end_run
-- rarely: leave_lane, end_hold, let_go
-- v is look_at(id). The inbox only brings it to the holder sooner: its next write is STALE in any case.
local function cancel_run(id, v, why, ended, touched)
  if v.s == 'r' then
    redis.call('SREM', held(v.l), id)
    end_alone(v.l, v.x)
    -- Its body goes on until it is stopped: the lease keeps its slots until then.
    if v.j then redis.call('HSET', leaving(v.l), id, v.f .. string.match(v.j, '^%S+(.*)$')) end
    if redis.call('EXISTS', inbox(v.l)) == 1 then
      redis.call('XADD', inbox(v.l), 'MAXLEN', '~', 1000, '*', 'r', id, 'x', why)
    end
  elseif v.s == 'w' then
    redis.call('ZREM', waiting(v.f), id)
  elseif tonumber(v.x or 0) >= 2 then
    redis.call('ZREM', suspects(app_of(v.f)), id)
  elseif v.j then
    leave_lane(id, v.f, v.j, v.b)
  else
    redis.call('ZREM', ready(v.f), id)
  end
  if v.d then redis.call('HDEL', run(id), 'd') end
  if v.j and v.s ~= 'r' then
    local freed = {}
    end_hold(freed, id, v.f, v.j, true)
    let_go(freed, touched)
  end
  -- A run that was never claimed is not counted yet: 400 for its keys, as claim_runs counts them.
  local bytes = v.m or 400 + redis.call('STRLEN', input(id))
  return end_run(id, v.f, 'x', 'T' .. 'RunCancelled\n' .. why, {bytes, v.t, v.o, v.k, v.j}, ended, touched)
end
