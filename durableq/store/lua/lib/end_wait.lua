-- end_wait(id, v, key, kind, filed, blob, to, body, touched, by): a pending wait of a living run has its result: kind `to`, payload `body`.
-- keys: run(id), steps(id), history(id), news(id), inbox(lease), waiting(function), ready(function), suspects(app), timers, heard(event), idle, waits(bucket), signals, lane(lane), lanes(function), gated(function)
-- include: queue_run, remember, tell_holder, unfile
-- v is look_at(id); kind, filed and blob are wait_of(memo). Takes the number, ends timer and filing, tells the holder or makes the run ready.
-- `by`, for the history: who has ended it, if that is not said by the result or the wait itself.
-- A retry's memo stays what it is; its number only tells a holder that something has changed.
local function end_wait(id, v, key, kind, filed, blob, to, body, touched, by)
  local number = tonumber(v.q or 0) + 1
  local memo = number .. ' ' .. now_text .. ' ' .. to .. ' ' .. body
  local left = tonumber(v.t or 0)
  redis.call('HSET', steps(id), key, memo)
  if redis.call('ZREM', timers, kind .. ' ' .. id .. ' ' .. key) == 1 then left = math.max(0, left - 1) end
  if #body == #blob then
    redis.call('HSET', run(id), 'q', number, 't', left)
  else
    redis.call('HSET', run(id), 'q', number, 't', left, 'm', math.max(0, tonumber(v.m or 0) + #body - #blob))
  end
  unfile(id, key, kind, filed)
  remember(id, kind == 'r' and 'due' or to, key, by or '')
  if v.s == 'r' then
    tell_holder(id, v.l, number, key, memo)
  elseif v.s == 'w' and (not v.d or tonumber(v.d) <= now or left == 0) then
    -- Whatever the last timer of a waiting run was for, nothing else would ever move the run.
    redis.call('ZREM', waiting(v.f), id)
    if v.d then redis.call('HDEL', run(id), 'd') end
    queue_run(id, v.f, v.c, v.x, touched, v.j)
  end
end
