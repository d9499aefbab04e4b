-- admit_run(run_of, detail, touched, stage, later): decide whether, and when, a trigger of a function with flow control becomes a run, and create it.
-- keys: meta, run(id), input(id), timers, waiting(function), listens(id), heard(event), names, echoes, idle, waits(bucket), flow(app), paused(app), once(key), rate(key), lock(key), skips(function), skipped(app), lane(lane), lanes(function), gated(function), ready(function), debounce(key), batch(key), batching(key), holding(function)
-- include: numbers_of, note_skip, is_paused, has_window, take_window, take_key, dress_run, queue_lane, hold_back
-- run_of: {id, fn, given (false: `input` is there), created, place, due_at_ms, own_place}; detail: `@<priority> <what it needs to be claimed>;<gates of admission>;<extras>`; stage: 'event' (every
--   gate), 'direct' (nothing is held back: somebody waits for this very run), 'held' (what was held back, or is asked for again: it has passed the first gates).
-- Returns 'created', 'there', 'held', or why not, as `reason key other`; and the time of a new timer, or nil. All gates are looked at before any token is taken (decision 012).
-- later: collects what is to be queued, for the caller to do at once (queue_later); nil: it is queued here.
local any_paused
local function pass_gates(run_of, first, detail, stage, admit_closed)
  local id, fn, keys = run_of.id, run_of.fn, {}
  for letter, key in string.gmatch(first, '(%a)=(%S+)') do keys[letter] = key end
  local numbers = numbers_of(fn)
  local fresh = stage ~= 'held'
  local function left_out(reason, key, other)
    note_skip(fn, run_of.own_place and id or run_of.place, reason, key, other)
    if not run_of.given then redis.call('UNLINK', input(id)) end
    return reason .. ' ' .. key .. ' ' .. (other or '-')
  end

  local once_key = fresh and numbers.i and keys.i
  if once_key then
    local before = has_key(once_key)
    if before then return left_out('idempotency', once_key, before) end
  end
  local limit, period_ms
  if fresh and keys.l then limit, period_ms = string.match(numbers.l or '', '^(%d+)/(%d+)$') end
  if limit and not has_window(keys.l, tonumber(limit), tonumber(period_ms)) then return left_out('rate_limit', keys.l) end
  local function take_tokens()
    if once_key then take_key(once_key, id, numbers) end
    if limit then take_window(keys.l, tonumber(limit), tonumber(period_ms)) end
  end
  if stage == 'event' and (keys.d or keys.b) then
    local timer, closed = hold_back(run_of, keys, numbers, detail)
    if timer then
      take_tokens()
      if closed then return admit_closed(closed) end
      return 'held', timer
    end
  end
  local mode = keys.s and numbers.s
  local holder = mode and redis.call('GET', lock(keys.s))
  local state = holder and redis.call('HGET', run(holder), 's')
  local living = state == 'q' or state == 'r' or state == 'w'
  if living and mode == 'skip' then return left_out('singleton', keys.s, holder) end
  if run_of.given and any_paused and is_paused(fn) == 'skip' then return left_out('paused', '-') end

  take_tokens()
  if not mode then return nil end
  redis.call('SET', lock(keys.s), id)
  -- Cancelling is much work: a scheduler does it at once. Only one of the two can have the slot of the key meanwhile.
  if living then redis.call('ZADD', timers, now, 'X ' .. holder) end
  return nil, living and now, keys.s
end
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
    outcome, earliest, single = pass_gates(run_of, first, detail, stage, function(closed)
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
