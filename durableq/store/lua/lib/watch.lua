-- watch(id, client): have a process told what a run comes to. At most 100 processes per run; further ones ask again from time to time.
-- keys: run(id), watchers(id)
local function watch(id, client)
  if redis.call('SCARD', watchers(id)) >= 100 or redis.call('SADD', watchers(id), client) == 0 then return end
  local flags = redis.call('HGET', run(id), 'k') or ''
  if not string.find(flags, 'w', 1, true) then redis.call('HSET', run(id), 'k', flags .. 'w') end
end
