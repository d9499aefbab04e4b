-- admit_run(run_of, detail, touched, stage): decide whether, and when, a trigger of a function with flow control becomes a run, and create it.
-- keys: meta, run(id), input(id), timers, waiting(function), listens(id), heard(event), names, echoes, idle, waits(bucket), flow(app), paused(app), once(key), rate(key), lock(key), skips(function), skipped(app), lane(lane), lanes(function), gated(function), debounce(key), batch(key), batching(key)
-- include: numbers_of, note_skip, is_paused, has_window, take_window, dress_run, queue_lane, hold_back
-- run_of: {id, fn, given (false: `input` is there), created, place, due_at_ms, own_place}; detail: `@<size> <gates><extras>`; stage: 'event' (every gate), 'direct' (nothing is held back: somebody
--   waits for this very run), 'held' (what was held back, or is asked for again: it has passed the first gates).
-- Returns 'created', 'there', 'held', or the reason why not; and the time of a new timer, or nil. All gates are looked at before any token is taken (decision 012).
local function admit_run(run_of, detail, touched, stage)
  local size, from = string.match(detail, '^@(%d+) ()')
  local text, extras = string.sub(detail, from, from + size - 1), string.sub(detail, from + size)
  local id, fn, due_at_ms = run_of.id, run_of.fn, tonumber(run_of.due_at_ms)
  if run_of.given and redis.call('EXISTS', input(id)) == 1 then return 'there' end
  local keys, needed = {}, {}
  for one, letter, key in string.gmatch(text, '((%a)%d?=(%S+))') do
    if string.find('tcrp', letter, 1, true) then needed[#needed + 1] = one end
    keys[letter] = key
  end
  local numbers = numbers_of(fn)
  local fresh = stage ~= 'held'
  local function left_out(reason, key, other)
    note_skip(fn, run_of.place, reason, key, other)
    if not run_of.given then redis.call('UNLINK', input(id)) end
    return reason
  end

  local once_ms = fresh and keys.i and tonumber(string.match(numbers, ' i=(%d+) '))
  if once_ms then
    local until_ms, first = string.match(redis.call('GET', once(keys.i)) or '', '^(%d+) (%S+)$')
    if until_ms and tonumber(until_ms) > now then return left_out('idempotency', keys.i, first) end
  end
  local limit, period_ms
  if fresh and keys.l then limit, period_ms = string.match(numbers, ' l=(%d+)/(%d+) ') end
  if limit and not has_window(keys.l, tonumber(limit), tonumber(period_ms)) then return left_out('rate_limit', keys.l) end
  local mode = keys.s and string.match(numbers, ' s=(%a+) ')
  local function take_tokens()
    if once_ms then redis.call('SET', once(keys.i), string.format('%d', now + once_ms) .. ' ' .. id, 'PX', once_ms + 60000) end
    if limit then take_window(keys.l, tonumber(limit), tonumber(period_ms)) end
  end
  if stage == 'event' and (keys.d or keys.b) then
    local timer, closed = hold_back(run_of, keys, numbers, detail)
    if timer then
      take_tokens()
      if closed then return admit_run(closed, closed.detail, touched, 'held') end
      return 'held', timer
    end
  end
  local holder = mode and redis.call('GET', lock(keys.s))
  local state = holder and redis.call('HGET', run(holder), 's')
  local living = state == 'q' or state == 'r' or state == 'w'
  if living and mode == 'skip' then return left_out('singleton', keys.s, holder) end
  if run_of.given and tonumber(redis.call('HGET', meta, 'paused') or 0) > 0 and is_paused(fn) == 'skip' then return left_out('paused', '-') end

  take_tokens()
  local earliest
  local function timer(at, member)
    redis.call('ZADD', timers, at, member)
    earliest = math.min(earliest or at, at)
  end
  if run_of.given then redis.call('SET', input(id), run_of.given) end
  if mode then
    redis.call('SET', lock(keys.s), id)
    needed[#needed + 1] = 'z=' .. keys.s
    -- Cancelling is much work: a scheduler does it at once. Only one of the two can have the slot of the key meanwhile.
    if living then timer(now, 'X ' .. holder) end
  end
  local priority = tonumber(keys.p or 0)
  for i, one in ipairs(needed) do
    if string.sub(one, 1, 2) == 'p=' then needed[i] = 'p=1' end
  end
  -- In the order of the stream also within one ms.
  local sequence = math.min(999, tonumber(run_of.own_place and '0' or string.match(run_of.place, '-(%d+)$')))
  local j = string.format('%.3f %d', run_of.created - priority + sequence / 1000, priority)
  if #needed > 0 then j = j .. ' ' .. table.concat(needed, ' ') end
  redis.call('HSET', run(id), 's', due_at_ms > now and 'w' or 'q', 'f', fn, 'c', run_of.created, 'j', j, 'k', 'c')
  if run_of.own_place then redis.call('HSET', run(id), 'p', run_of.own_place) end
  if mode then redis.call('HSET', run(id), 'z', keys.s) end
  if due_at_ms > now then
    redis.call('HSET', run(id), 'd', due_at_ms, 't', 1)
    redis.call('ZADD', waiting(fn), run_of.created, id)
    timer(due_at_ms, 'd ' .. id)
  else
    queue_lane(id, fn, j, touched)
  end
  if extras ~= '' then
    local flags, rest = string.match(extras, '^(%S+)(.*)$')
    local begin_by = dress_run(id, (flags == '-' and 'c' or flags .. 'c') .. rest, run_of.place, math.max(due_at_ms, tonumber(run_of.created)))
    if begin_by then earliest = math.min(earliest or begin_by, begin_by) end
  end
  return 'created', earliest
end
