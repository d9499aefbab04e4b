-- fire_timers: perform the effect of timers that are due.
-- transition: WAITING -> QUEUED, WAITING -> WAITING, QUEUED -> QUEUED, RUNNING -> RUNNING, QUEUED -> CANCELLED, RUNNING -> CANCELLED, WAITING -> CANCELLED, CANCELLED -> ABSENT, ABSENT -> QUEUED, ABSENT -> WAITING
-- keys: meta, events, event_bell, idle, heard(event), waits(bucket), post(event), signals, timeouts(app), run(id), input(id), steps(id), history(id), news(id), output(id), watchers(id), answer(id), answers(client), ready(function), work(app), suspects(app), waiting(function), done(list), kept, void, timers, bell(app), leases, lease(lease), held(lease), inbox(lease), lane(lane), lanes(function), gated(function), slots(pool), parked(gate), blocked(function), sharers(pool), lock(key), leaving(lease), listens(id), names, echoes, flow(app), paused(app), once(key), rate(key), skips(function), skipped(app), debounce(key), batch(key), batching(key), holding(function), tat(key), timer_bell
-- rarely: fire_flow
-- include: queue_run, offer, remember, tell_holder, look_at, wait_of, end_wait, void_wait, cancel_run, list_ended, app_of, obey_timeouts, spell_ms, not_yet
-- args: limit:int, keep_failed:int
-- returns: server time in ms, timers fired, ms until the next one (-1: there is none)
-- A timer's member is `kind run step` of a pending wait (w a sleep, r a step's next attempt, v an event, g a signal, i a child), `d run` (a delayed
-- start or the next attempt of the code outside steps), `b run` (begin by) or `f run` (finish by), or `o function place` (obey: a deployment has changed its timeouts,
-- which its runs are told by and by). It leaves the set here, with its effect;
-- of a final run it has none, but that the wait is swept (void_wait); and a wait for an event is left until what was accepted in its time is delivered (not_yet). `b` and `f` obey the newest deployment: they are set anew, or dropped, if its numbers say so.
-- Capitals are flow control's: `T gate function` a throttle opens, `G function` its numbers have changed, `D key` a debounce, `B key` a batch, `X run` a run displaced by a singleton.
-- Called by any number of schedulers: who comes second finds the timers gone.
local due = redis.call('ZRANGEBYSCORE', timers, '-inf', now, 'LIMIT', 0, limit)
local touched, ended, kept_bytes = {}, {}, 0

local function enforce(kind, id, v)
  local app, name = string.match(v.f, '^([^/]+)/(.+)$')
  local start_ms, finish_ms = string.match(redis.call('HGET', timeouts(app), name) or '0 0', '^(%d+) (%d+)$')
  local allowed = tonumber(kind == 'b' and start_ms or finish_ms)
  if allowed == 0 or kind == 'b' and v.b then return end
  -- A delayed start is counted from when it was due.
  local from = kind == 'b' and tonumber(v.y or v.c) or tonumber(v.b)
  if from + allowed > now then
    redis.call('ZADD', timers, from + allowed, kind .. ' ' .. id)
    return
  end
  local why = kind == 'b' and 'it had not begun within ' or 'it had not ended within '
  kept_bytes = kept_bytes + cancel_run(id, v, why .. spell_ms(allowed) .. ' (timeouts)', ended, touched)
end

-- The timers of a run, and those of waits that something from outside may end. Returns whether the timer was what it said.
local function fire_other(timer, kind, id, key)
  local v = look_at(id)
  local was, filed, blob
  if kind ~= 'b' and kind ~= 'f' then was, filed, blob = wait_of(redis.call('HGET', steps(id), key)) end
  if not v.living then
    redis.call('ZREM', timers, timer)
    if was == kind then kept_bytes = kept_bytes + void_wait(id, v, key, kind, filed, ended, touched) end
  elseif kind == 'b' or kind == 'f' then
    redis.call('ZREM', timers, timer)
    enforce(kind, id, v)
  elseif was == kind then
    local later = kind == 'v' and not_yet(filed)
    if later then
      redis.call('ZADD', timers, now + later, timer)
      return true
    end
    end_wait(id, v, key, kind, filed, blob, 'z', blob, touched)
  else
    return false
  end
  return true
end

-- The timers of flow control (decisions 013, 014): capitals.
local function cancel(id, why)
  local v = look_at(id)
  if v.living then kept_bytes = kept_bytes + cancel_run(id, v, why, ended, touched) end
end

-- One a call, since each looks at a hundred runs; and between two of them other timers are fired.
local obeyed = false
local function obey(timer, fn, place)
  if obeyed then return end
  obeyed = true
  redis.call('ZREM', timers, timer)
  local further = obey_timeouts(fn, place)
  if further then redis.call('ZADD', timers, now + 10, 'o ' .. fn .. ' ' .. further) end
end

local OTHER = {b = true, f = true, v = true, g = true, i = true}
for _, timer in ipairs(due) do
  local kind, id, key = string.match(timer, '^(%a) (%S+) ?(.*)$')
  if string.byte(kind) < 97 then
    redis.call('ZREM', timers, timer)
    fire_flow(kind, id, key, touched, cancel)
  elseif kind == 'o' then
    obey(timer, id, key)
  elseif not OTHER[kind] or not fire_other(timer, kind, id, key) then
    -- One that is gone was of the wait for a child, which a timer before it in this call has ended.
    local v = redis.call('ZREM', timers, timer) == 1 and redis.call('HMGET', run(id), 's', 'f', 'c', 'l', 'q', 'd', 't', 'j', 'b') or {}
    local state = v[1]
    if state == 'q' or state == 'r' or state == 'w' then
      local left = math.max(0, tonumber(v[7] or 1) - 1)
      redis.call('HSET', run(id), 't', left)
      local ends_turn = kind == 'd' and v[6]
      if kind == 'w' or kind == 'r' then
        local memo = redis.call('HGET', steps(id), key)
        local was, rest = string.match(memo or '', '^%d+ %d+ (%a) (.*)$')
        if was == kind then
          -- A retry's memo stays what it is; its number only tells a holder that something has changed.
          local number = tonumber(v[5] or 0) + 1
          local over = number .. ' ' .. now .. ' ' .. (kind == 'w' and 's' or 'r') .. ' ' .. rest
          redis.call('HSET', steps(id), key, over)
          redis.call('HSET', run(id), 'q', number)
          remember(id, kind == 'w' and 's' or 'due', key, '')
          if state == 'r' then tell_holder(id, v[4], number, key, over) end
          ends_turn = not v[6] or tonumber(v[6]) <= now
        end
      end
      -- Whatever the last timer of a waiting run was for, nothing else would ever move the run.
      if state == 'w' and (ends_turn or left == 0) then
        redis.call('ZREM', waiting(v[2]), id)
        if v[6] then redis.call('HDEL', run(id), 'd') end
        queue_run(id, v[2], v[3], nil, touched, v[8], not v[9])
      end
    end
  end
end
offer(touched)
if next(ended) then kept_bytes = kept_bytes + list_ended(ended, keep_failed, keep_failed) end
if kept_bytes ~= 0 then redis.call('HINCRBY', meta, 'kept_bytes', kept_bytes) end
local head = redis.call('ZRANGE', timers, 0, 0, 'WITHSCORES')
return {now, #due, head[2] and math.max(0, tonumber(head[2]) - now) or -1}
