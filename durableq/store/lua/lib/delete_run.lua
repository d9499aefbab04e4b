-- delete_run(id): remove a finished run whose retention is over. Returns the bytes it was counted with.
-- keys: run(id), input(id), steps(id), history(id), news(id), output(id), void, timers
-- include: void_timers
local function delete_run(id)
  local bytes = tonumber(redis.call('HGET', run(id), 'z') or 0)
  if redis.call('SREM', void, id) == 1 then void_timers(id) end
  redis.call('UNLINK', run(id), input(id), steps(id), history(id), news(id), output(id))
  return bytes
end
