-- begin_wait(id, key, kind, blob, due): record a pending wait and its timer. Returns true if there was none before.
-- keys: steps(id), timers
-- A result is never overwritten (the caller has looked). A timer's member says what is due: kind, run, step.
local function begin_wait(id, key, kind, blob, due)
  redis.call('HSET', steps(id), key, '0 ' .. now .. ' ' .. kind .. ' ' .. blob)
  return redis.call('ZADD', timers, due, kind .. ' ' .. id .. ' ' .. key) == 1
end
