-- fire_flow(kind, id, key, touched, cancel): perform the effect of a due timer of flow control.
-- keys: meta, run(id), input(id), timers, waiting(function), listens(id), heard(event), names, echoes, idle, waits(bucket), ready(function), flow(app), paused(app), once(key), rate(key), lock(key), skips(function), skipped(app), lane(lane), lanes(function), gated(function), debounce(key), batch(key), batching(key), holding(function), slots(pool), tat(key), parked(gate), blocked(function), sharers(pool)
-- include: admit_run, close_batch, gates_of, room_of, numbers_of, unpark
-- cancel(run, why) ends a run that is living. The caller has taken the timer away.
local function fire_flow(kind, id, key, touched, cancel)
  if kind == 'X' then
    cancel(id, 'a newer run took its place (singleton)')
  elseif kind == 'T' then
    -- id is the throttle, key the function. One lane, that of the oldest run: its visit moves the throttle on, and opens the next.
    local room, _, _, opens_at = room_of({'t', '', id}, numbers_of(key))
    if room > 0 then
      unpark(id, key, 1, touched)
    elseif redis.call('EXISTS', parked(id .. ' ' .. key)) == 1 then
      redis.call('ZADD', timers, math.ceil(opens_at), 'T ' .. id .. ' ' .. key)
    end
  elseif kind == 'G' then
    -- The function's numbers have changed: open what has room now, of a hundred gates a call. The visits do the rest.
    local reply = redis.call('SSCAN', blocked(id), key == '' and '0' or key, 'COUNT', 100)
    for _, pool in ipairs(reply[2]) do unpark(pool, id, 1, touched) end
    if reply[1] ~= '0' then redis.call('ZADD', timers, now, 'G ' .. id .. ' ' .. reply[1]) end
  elseif kind == 'S' then
    -- A slot of a shared pool was freed, and those that were opened for it may be of functions that nobody executes: open every function that has room now, of a hundred a call.
    local passed = tonumber(key) or 0
    local some = redis.call('ZRANGE', sharers(id), passed, passed + 99)
    for _, fn in ipairs(some) do
      passed = passed + 1
      local head = redis.call('ZRANGE', parked(id .. ' ' .. fn), 0, 0)[1]
      for _, gate in ipairs(gates_of(head and string.sub(head, #fn + 1) or '')) do
        if gate[3] == id and room_of(gate, numbers_of(fn)) > 0 then
          redis.call('ZREM', sharers(id), fn)
          unpark(id, fn, 1, touched)
          passed = passed - 1
          break
        end
      end
    end
    if #some == 100 then redis.call('ZADD', timers, now, 'S ' .. id .. ' ' .. passed) end
  elseif kind == 'B' then
    local closed = close_batch(id)
    if closed then admit_run(closed, closed.detail, touched, 'held') end
  elseif kind == 'D' then
    local v = redis.call('HMGET', debounce(id), 'id', 'fn', 'given', 'created', 'place', 'due_at_ms', 'detail')
    redis.call('DEL', debounce(id))
    if v[1] then
      redis.call('ZREM', holding(v[2]), 'D ' .. id)
      admit_run({id = v[1], fn = v[2], given = v[3], created = v[4], place = v[5], due_at_ms = v[6]}, v[7], touched, 'held')
    end
  end
end
