-- fire_timers: perform the effect of timers that are due.
-- transition: WAITING -> QUEUED, WAITING -> WAITING, QUEUED -> QUEUED, RUNNING -> RUNNING
-- keys: meta, timers, run(id), steps(id), history(id), news(id), inbox(lease), waiting(function), ready(function), suspects(app), work(app), bell(app)
-- include: queue_run, offer, remember, tell_holder
-- args: limit:int
-- returns: server time in ms, timers fired, ms until the next one (-1: there is none)
-- A timer's member is `w run step` (a sleep), `r run step` (a step's next attempt) or `d run` (a delayed start or the next
-- attempt of the code outside steps). It leaves the set here, with its effect; of a final run it has none.
-- Called by any number of schedulers: who comes second finds the timers gone.
local due = redis.call('ZRANGEBYSCORE', timers, '-inf', now, 'LIMIT', 0, limit)
local touched = {}
for _, timer in ipairs(due) do
  local kind, id, key = string.match(timer, '^(%a) (%S+) ?(.*)$')
  redis.call('ZREM', timers, timer)
  local v = redis.call('HMGET', run(id), 's', 'f', 'c', 'l', 'q', 'd', 't')
  local state = v[1]
  if state == 'q' or state == 'r' or state == 'w' then
    local left = math.max(0, tonumber(v[7] or 1) - 1)
    redis.call('HSET', run(id), 't', left)
    local ends_turn = kind == 'd' and v[6]
    if kind ~= 'd' then
      local memo = redis.call('HGET', steps(id), key)
      local was, rest = string.match(memo or '', '^%d+ %d+ (%a) (.*)$')
      if was == kind then
        -- A retry's memo stays what it is; its number only tells a holder that something has changed.
        local number = tonumber(v[5] or 0) + 1
        local ended = number .. ' ' .. now .. ' ' .. (kind == 'w' and 's' or 'r') .. ' ' .. rest
        redis.call('HSET', steps(id), key, ended)
        redis.call('HSET', run(id), 'q', number)
        remember(id, kind == 'w' and 's' or 'due', key, '')
        if state == 'r' then tell_holder(id, v[4], number, key, ended) end
        ends_turn = not v[6] or tonumber(v[6]) <= now
      end
    end
    -- Whatever the last timer of a waiting run was for, nothing else would ever move the run.
    if state == 'w' and (ends_turn or left == 0) then
      redis.call('ZREM', waiting(v[2]), id)
      if v[6] then redis.call('HDEL', run(id), 'd') end
      queue_run(id, v[2], v[3], nil, touched)
    end
  end
end
offer(touched)
local head = redis.call('ZRANGE', timers, 0, 0, 'WITHSCORES')
return {now, #due, head[2] and math.max(0, tonumber(head[2]) - now) or -1}
