-- free_runs(lease_id, limit, keep_failed): take up to `limit` runs from a dead lease and make them ready, or fail them.
-- keys: run(id), held(lease), lease(lease), dead, inbox(lease), news(id), meta, history(id), events, event_bell, idle, heard(event), waits(bucket), signals, input(id), steps(id), output(id), watchers(id), answer(id), answers(client), ready(function), work(app), suspects(app), waiting(function), done(list), kept, void, timers, bell(app), leaving(lease), lane(lane), lanes(function), gated(function), slots(pool), parked(gate), blocked(function), sharers(pool), lock(key), timer_bell
-- include: queue_run, end_run, list_ended, offer, remember
-- rarely: end_hold, free_leaving, let_go
-- The lease's hash says how it died (`crashed`, `reason`), which run it had to itself (`alone`) and at which step
-- (`doing`). A crash counts against every run in hand; a third one, alone, fails the run. Returns the runs freed.
local function free_runs(lease_id, limit, keep_failed)
  local how = redis.call('HMGET', lease(lease_id), 'crashed', 'reason', 'alone', 'doing')
  local crashed = how[1] == '1'
  local ids = redis.call('SRANDMEMBER', held(lease_id), limit)
  local touched, kept_bytes, ended, freed = {}, 0, {}, {}
  for _, id in ipairs(ids) do
    local v = redis.call('HMGET', run(id), 's', 'l', 'f', 'c', 'x', 'm', 't', 'o', 'k', 'j')
    if v[1] == 'r' and v[2] == lease_id then
      local deaths = tonumber(v[5] or 0)
      if crashed then
        deaths = deaths + 1
        redis.call('HSET', run(id), 'x', deaths)
        remember(id, 'crashed', '-', how[2] or '')
      end
      local final = crashed and deaths >= 3 and how[3] == id
      if v[10] then end_hold(freed, id, v[3], v[10], final) end
      if final then
        local text = 'its worker process died at ' .. deaths .. ' executions of this run, the last time with nothing else in hand ('
          .. (how[2] or 'unknown') .. '; last step: ' .. (how[4] or 'none begun') .. ')'
        kept_bytes = kept_bytes + end_run(id, v[3], 'f', 'T' .. 'WorkerCrashed\n' .. text, {v[6], v[7], v[8], v[9], v[10]}, ended, touched)
      else
        redis.call('HDEL', run(id), 'l', 'o')
        if v[8] then redis.call('UNLINK', news(id)) end
        queue_run(id, v[3], v[4], deaths, touched, v[10])
      end
    end
    redis.call('SREM', held(lease_id), id)
  end
  local left = limit - #ids
  if left > 0 and redis.call('EXISTS', leaving(lease_id)) == 1 then
    for i, id in ipairs(redis.call('HKEYS', leaving(lease_id))) do
      if i <= left then free_leaving(freed, lease_id, id) end
    end
  end
  if next(freed) then let_go(freed, touched) end
  offer(touched)
  kept_bytes = kept_bytes + list_ended(ended, keep_failed, keep_failed)
  if kept_bytes ~= 0 then redis.call('HINCRBY', meta, 'kept_bytes', kept_bytes) end
  if redis.call('EXISTS', held(lease_id), leaving(lease_id)) == 0 then
    redis.call('ZREM', dead, lease_id)
    redis.call('UNLINK', lease(lease_id), inbox(lease_id))
  end
  return #ids
end
