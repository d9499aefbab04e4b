-- retire_functions: forget functions that the newest deployment lacks and no living worker has had for some time.
-- keys: meta, apps, functions(app), absent(app), leases, lease(lease), faults, crons, cron(trigger), started(trigger), timeouts(app), flow(app), paused(app), skips(function), skipped(app), ready(function), lanes(function), blocked(function), work(app), bell(app), timers
-- include: has_worker, drop_crons, offer
-- args: after_ms:int, only:str
-- returns: the full ids of the functions retired
-- Of one app (`only`), or of all where that is ''.
-- Their queued runs stay queued, and are shown as without a worker: if they come back, unpaused and perhaps without limits, nothing holds these up. Their cron triggers go.
local retired, gone, touched = {}, {}, {}
for _, app in ipairs(only == '' and redis.call('SMEMBERS', apps) or {only}) do
  local entries = redis.call('ZRANGE', absent(app), 0, 99, 'WITHSCORES')
  for i = 1, #entries, 2 do
    local name, since = entries[i], tonumber(entries[i + 1])
    if has_worker(app .. '/' .. name) then
      redis.call('ZADD', absent(app), now, name)
    elseif now - since >= after_ms then
      redis.call('ZREM', absent(app), name)
      redis.call('HDEL', functions(app), name)
      for _, field in ipairs(redis.call('HKEYS', faults)) do
        if string.match(field, '^%S+') == app .. '/' .. name then redis.call('HDEL', faults, field) end
      end
      redis.call('HDEL', timeouts(app), name)
      local fn = app .. '/' .. name
      if redis.call('HDEL', flow(app), name) == 1 and redis.call('EXISTS', blocked(fn)) == 1 then redis.call('ZADD', timers, now, 'G ' .. fn) end
      if redis.call('HDEL', paused(app), name) == 1 then
        redis.call('HINCRBY', meta, 'paused', -1)
        if redis.call('EXISTS', ready(fn)) == 1 then touched[fn] = true end
        if redis.call('EXISTS', lanes(fn)) == 1 then touched[fn .. '*'] = true end
      end
      redis.call('UNLINK', skips(app .. '/' .. name))
      for _, field in ipairs(redis.call('HKEYS', skipped(app))) do
        if string.match(field, '^%S+') == name then redis.call('HDEL', skipped(app), field) end
      end
      retired[#retired + 1] = app .. '/' .. name
      gone[app .. '/' .. name] = true
    end
  end
end
if #retired > 0 then
  redis.call('HINCRBY', meta, 'registry', 1)
  drop_crons(function(fn) return gone[fn] end)
end
offer(touched)
return retired
