-- fire_timers: perform the effect of timers that are due.
-- transition: WAITING -> QUEUED, WAITING -> WAITING, QUEUED -> QUEUED, RUNNING -> RUNNING, QUEUED -> CANCELLED, RUNNING -> CANCELLED, WAITING -> CANCELLED, CANCELLED -> ABSENT
-- keys: meta, events, event_bell, idle, heard(event), waits(bucket), signals, timeouts(app), run(id), input(id), steps(id), history(id), news(id), output(id), watchers(id), answer(id), answers(client), ready(function), work(app), suspects(app), waiting(function), done(list), kept, void, timers, bell(app), lease(lease), held(lease), inbox(lease)
-- include: queue_run, offer, look_at, wait_of, end_wait, void_wait, cancel_run, list_ended, app_of
-- args: limit:int, keep_failed:int
-- returns: server time in ms, timers fired, ms until the next one (-1: there is none)
-- A timer's member is `kind run step` of a pending wait (w a sleep, r a step's next attempt, v an event, g a signal, i a child), `d run` (a delayed
-- start or the next attempt of the code outside steps), `b run` (begin by) or `f run` (finish by). It leaves the set here, with its effect;
-- of a final run it has none, but that the wait is swept (void_wait). `b` and `f` obey the newest deployment: they are set anew, or dropped, if its numbers say so.
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
  kept_bytes = kept_bytes + cancel_run(id, v, why .. string.format('%d', allowed) .. ' ms (timeouts)', ended, touched)
end

local function fire(kind, id, key, v)
  local was, filed, blob
  if kind ~= 'd' then was, filed, blob = wait_of(redis.call('HGET', steps(id), key)) end
  if was == kind then
    end_wait(id, v, key, kind, filed, blob, kind == 'w' and 's' or kind == 'r' and 'r' or 'z', blob, touched)
    return
  end
  local left = math.max(0, tonumber(v.t or 1) - 1)
  redis.call('HSET', run(id), 't', left)
  -- Whatever the last timer of a waiting run was for, nothing else would ever move the run.
  if v.s == 'w' and (kind == 'd' and v.d or left == 0) then
    redis.call('ZREM', waiting(v.f), id)
    if v.d then redis.call('HDEL', run(id), 'd') end
    queue_run(id, v.f, v.c, nil, touched)
  end
end

for _, timer in ipairs(due) do
  local kind, id, key = string.match(timer, '^(%a) (%S+) ?(.*)$')
  local v = look_at(id)
  if not v.living then
    redis.call('ZREM', timers, timer)
    local was, filed = wait_of(redis.call('HGET', steps(id), key))
    if was == kind then kept_bytes = kept_bytes + void_wait(id, v, key, kind, filed, ended, touched) end
  elseif kind == 'b' or kind == 'f' then
    redis.call('ZREM', timers, timer)
    enforce(kind, id, v)
  else
    fire(kind, id, key, v)
    redis.call('ZREM', timers, timer)
  end
end
offer(touched)
kept_bytes = kept_bytes + list_ended(ended, keep_failed, keep_failed)
if kept_bytes ~= 0 then redis.call('HINCRBY', meta, 'kept_bytes', kept_bytes) end
local head = redis.call('ZRANGE', timers, 0, 0, 'WITHSCORES')
return {now, #due, head[2] and math.max(0, tonumber(head[2]) - now) or -1}
