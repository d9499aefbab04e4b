-- hold_back(run_of, keys, numbers, detail): keep an event for later: the newest of a debounce, or all of a batch. Returns the timer, or nil if neither applies; and the run of a batch that is closed now.
-- keys: debounce(key), batch(key), batching(key), holding(function), input(id), timers, skips(function), skipped(app)
-- include: note_skip, close_batch
-- `e` of the keys is the event's own time. A debounce fires when no event came for a period, or after its timeout; its numbers are read at each event.
local function hold_back(run_of, keys, numbers, detail)
  local period_ms, timeout_ms = string.match(numbers.d or '', '^(%d+)/(%d+)$')
  if keys.d and period_ms then
    local key, ts = keys.d, tonumber(keys.e or 0)
    local known = redis.call('HMGET', debounce(key), 'ts', 'first', 'place')
    local first = tonumber(known[2] or now)
    if known[1] and ts < tonumber(known[1]) then
      note_skip(run_of.fn, run_of.place, 'debounce', key, known[3])
    else
      if known[1] then note_skip(run_of.fn, known[3], 'debounce', key, run_of.place) end
      redis.call('HSET', debounce(key), 'ts', ts, 'first', string.format('%d', first), 'id', run_of.id, 'fn', run_of.fn, 'place', run_of.place,
        'created', run_of.created, 'due_at_ms', run_of.due_at_ms, 'given', run_of.given, 'detail', detail)
    end
    if not known[1] then redis.call('ZADD', holding(run_of.fn), now, 'D ' .. key) end
    local due = now + period_ms
    if timeout_ms ~= '0' then due = math.min(due, first + timeout_ms) end
    redis.call('ZADD', timers, due, 'D ' .. key)
    return due
  end
  local most, wait_ms = string.match(numbers.b or '', '^(%d+)/(%d+)$')
  if not keys.b or not most then return nil end
  local key, closed = keys.b, nil
  local framed = #run_of.given .. ' ' .. run_of.created .. ' ' .. run_of.given
  local known = redis.call('HMGET', batching(key), 'count', 'bytes')
  local count, bytes = tonumber(known[1] or 0), tonumber(known[2] or 0)
  if count > 0 and bytes + #framed > 10485760 then
    closed = close_batch(key)
    count, bytes = 0, 0
  end
  if count == 0 then
    redis.call('SET', batch(key), 'B')
    redis.call('HSET', batching(key), 'id', run_of.id, 'fn', run_of.fn, 'created', run_of.created, 'detail', detail)
    redis.call('ZADD', timers, now + wait_ms, 'B ' .. key)
    redis.call('ZADD', holding(run_of.fn), now, 'B ' .. key)
  end
  redis.call('APPEND', batch(key), framed)
  redis.call('HSET', batching(key), 'count', count + 1, 'bytes', bytes + #framed, 'place', run_of.place)
  if not closed and count + 1 >= tonumber(most) then closed = close_batch(key) end
  return now + wait_ms, closed
end
