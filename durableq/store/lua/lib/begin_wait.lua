-- begin_wait(id, key, kind, blob, due): record a pending wait and its timer. Returns the timers that came to be: 1, or 0 if it was there.
-- keys: steps(id), timers
-- A result is never overwritten (the caller has looked). A timer's member says what is due: kind, run, step.
local function begin_wait(id, key, kind, blob, due)
  redis.call('HSET', steps(id), key, '0 ' .. now_text .. ' ' .. kind .. ' ' .. blob)
  return redis.call('ZADD', timers, due, kind .. ' ' .. id .. ' ' .. key)
end
