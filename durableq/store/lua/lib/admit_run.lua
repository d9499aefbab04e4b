-- admit_run(run_of, detail, touched, stage, later): decide whether, and when, a trigger of a function with flow control becomes a run, and create it.
-- keys: meta, run(id), input(id), timers, waiting(function), listens(id), heard(event), names, echoes, idle, waits(bucket), flow(app), paused(app), once(key), rate(key), lock(key), skips(function), skipped(app), lane(lane), lanes(function), gated(function), ready(function), debounce(key), batch(key), batching(key), holding(function)
-- include: numbers_of, take_key
-- rarely: pass_gates, note_skip, dress_run, queue_lane
-- run_of: {id, fn, given (false: `input` is there), created, place, due_at_ms, own_place}; detail: `@<priority> <what it needs to be claimed>;<gates of admission>;<extras>`; stage: 'event' (every
--   gate), 'direct' (nothing is held back: somebody waits for this very run), 'held' (what was held back, or is asked for again: it has passed the first gates).
-- Returns 'created', 'there', 'held', or why not, as `reason key other`; and the time of a new timer, or nil. All gates are looked at before any token is taken (decision 012).
-- later: collects what is to be queued, for the caller to do at once (queue_later); nil: it is queued here.
local any_paused
local function admit_run(run_of, detail, touched, stage, later)
  local priority, needed, first, from = string.match(detail, '^@(%S+)([^;]*);([^;]*);()')
  local id, fn, created, due_at_ms, earliest, single = run_of.id, run_of.fn, run_of.created, tonumber(run_of.due_at_ms), nil, nil
  if any_paused == nil then any_paused = tonumber(redis.call('HGET', meta, 'paused') or 0) > 0 end
  local only_key = run_of.given and not any_paused and stage ~= 'held' and string.match(first, '^i=(%S+)$')
  if only_key then
    -- By far the most frequent gate, alone: what stands here already is taken back if it does not pass.
    if not redis.call('SET', input(id), run_of.given, 'NX') then return 'there' end
    local before = take_key(only_key, id, numbers_of(fn), true)
    if before then
      redis.call('UNLINK', input(id))
      note_skip(fn, run_of.own_place and id or run_of.place, 'idempotency', only_key, before)
      return 'idempotency ' .. only_key .. ' ' .. before
    end
  elseif first ~= '' or any_paused then
    if run_of.given and redis.call('EXISTS', input(id)) == 1 then return 'there' end
    local outcome
    outcome, earliest, single = pass_gates(run_of, first, detail, stage, any_paused, function(closed)
      return admit_run(closed, closed.detail, touched, 'held')
    end)
    if outcome then return outcome, earliest end
    earliest = earliest or nil
    if run_of.given then redis.call('SET', input(id), run_of.given) end
  elseif run_of.given and not redis.call('SET', input(id), run_of.given, 'NX') then
    return 'there'
  end
  if single then needed = needed .. ' z=' .. single end
  local place, j
  if needed ~= '' then
    -- In thousandths of a ms, so that the order of the stream holds within one, too; whole, since Redis keeps whole scores as numbers.
    local sequence = not run_of.own_place and string.match(run_of.place, '-(%d+)$')
    place = (priority == '0' and created or string.format('%d', created - priority))
      .. (sequence and sequence ~= '0' and string.format('%03d', math.min(999, tonumber(sequence))) or '000')
    j = place .. needed
  end
  local delayed = due_at_ms > now
  if j then
    redis.call('HSET', run(id), 's', delayed and 'w' or 'q', 'f', fn, 'c', created, 'j', j)
  else
    redis.call('HSET', run(id), 's', delayed and 'w' or 'q', 'f', fn, 'c', created)
  end
  if run_of.own_place then redis.call('HSET', run(id), 'p', run_of.own_place) end
  -- A batch is counted from here on, so that a claim knows its size before it reads it.
  if not run_of.given then redis.call('HSET', run(id), 'm', 400 + redis.call('STRLEN', input(id))) end
  if delayed then
    redis.call('HSET', run(id), 'd', due_at_ms, 'y', due_at_ms, 't', 1)
    redis.call('ZADD', waiting(fn), created, id)
    redis.call('ZADD', timers, due_at_ms, 'd ' .. id)
    earliest = math.min(earliest or due_at_ms, due_at_ms)
  elseif later then
    local of_fn = later[fn]
    if not of_fn then
      of_fn = {ids = {}, lanes = {}}
      later[fn] = of_fn
    end
    local runs = of_fn
    if j then
      runs = of_fn.lanes[needed]
      if not runs then
        runs = {}
        of_fn.lanes[needed] = runs
      end
      of_fn.ids[#of_fn.ids + 1] = id
    end
    runs[#runs + 1] = place or created
    runs[#runs + 1] = id
  elseif j then
    queue_lane(id, fn, j, false, touched)
  else
    redis.call('ZADD', ready(fn), created, id)
    touched[fn] = true
  end
  -- What was held back could not begin before now; its timeouts count from here.
  local held_back = stage == 'held' and tonumber(created) < now
  if held_back and not delayed then redis.call('HSET', run(id), 'y', now_text) end
  if from <= #detail then
    local begin_by = dress_run(id, string.sub(detail, from), run_of.place, math.max(due_at_ms, held_back and now or tonumber(created)))
    if begin_by then earliest = math.min(earliest or begin_by, begin_by) end
  end
  return 'created', earliest
end
