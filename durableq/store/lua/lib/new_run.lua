-- new_run(id, fn, given, extras, touched): create a run that no entry of the stream starts, ready at once. Returns false if it is there.
-- keys: meta, run(id), input(id), ready(function), timers, timer_bell, listens(id), heard(event), names, echoes, idle, waits(bucket)
-- include: dress_run, ring_timers
-- It sees events from where the cursor is. The caller adds what links it to others, and calls offer().
local function new_run(id, fn, given, extras, touched)
  if not redis.call('SET', input(id), given, 'NX') then return false end
  local place = redis.call('HGET', meta, 'routed_upto')
  redis.call('HSET', run(id), 's', 'q', 'f', fn, 'c', now_text, 'p', place)
  redis.call('ZADD', ready(fn), now_text, id)
  touched[fn] = true
  local due = extras ~= '' and dress_run(id, extras, place, now)
  if due then ring_timers(due) end
  return true
end
