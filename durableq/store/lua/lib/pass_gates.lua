-- pass_gates(run_of, first, detail, stage, pausing, admit_closed): whether a trigger passes its gates of admission: nil, a new timer and its singleton's key; or why not, as admit_run() says it.
-- keys: run(id), input(id), timers, flow(app), paused(app), once(key), rate(key), lock(key), skips(function), skipped(app), debounce(key), batch(key), batching(key), holding(function)
-- include: numbers_of, note_skip, has_key, take_key
-- rarely: is_paused, has_window, take_window, hold_back
-- All are looked at before any token is taken. admit_closed(closed) creates the run of a batch that this event has closed.
local function pass_gates(run_of, first, detail, stage, pausing, admit_closed)
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
  if run_of.given and pausing and is_paused(fn) == 'skip' then return left_out('paused', '-') end

  take_tokens()
  if not mode then return nil end
  redis.call('SET', lock(keys.s), id)
  -- Cancelling is much work: a scheduler does it at once. Only one of the two can have the slot of the key meanwhile.
  if living then redis.call('ZADD', timers, now, 'X ' .. holder) end
  return nil, living and now, keys.s
end
