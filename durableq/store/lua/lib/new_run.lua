-- new_run(id, fn, given, extras, touched, stage): create a run that no entry of the stream starts, ready at once. Returns 'created', 'there', or why not, as `reason key other`.
-- keys: meta, run(id), input(id), ready(function), timers, timer_bell, listens(id), heard(event), names, echoes, idle, waits(bucket), waiting(function), flow(app), paused(app), once(key), rate(key), lock(key), skips(function), skipped(app), lane(lane), lanes(function), gated(function), debounce(key), batch(key), batching(key), holding(function)
-- include: dress_run, ring_timers
-- rarely: admit_run, is_paused, note_skip
-- stage: as admit_run has it; 'direct' if there is none. It sees events from where the cursor is. The caller adds what links it to others, and calls offer().
local function new_run(id, fn, given, extras, touched, stage)
  local known = redis.call('HMGET', meta, 'routed_upto', 'paused')
  local place = known[1]
  if string.byte(extras) == 64 then
    local outcome, at = admit_run({id = id, fn = fn, given = given, created = now_text, place = place, due_at_ms = 0, own_place = place}, extras, touched, stage or 'direct')
    if at then ring_timers(at) end
    return outcome
  end
  if known[2] and known[2] ~= '0' and is_paused(fn) == 'skip' and redis.call('EXISTS', input(id)) == 0 then
    note_skip(fn, id, 'paused', '-')
    return 'paused - -'
  end
  if not redis.call('SET', input(id), given, 'NX') then return 'there' end
  redis.call('HSET', run(id), 's', 'q', 'f', fn, 'c', now_text, 'p', place)
  redis.call('ZADD', ready(fn), now_text, id)
  touched[fn] = true
  local due = extras ~= '' and dress_run(id, extras, place, now)
  if due then ring_timers(due) end
  return 'created'
end
