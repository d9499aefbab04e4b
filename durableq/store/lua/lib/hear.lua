-- hear(event_name, path): let routers know that something waits for this name, and by which path it is filed ('-': by none).
-- keys: meta, heard(event), names, echoes
-- include: set_echo
-- Returns false where the name has 32 paths already: then it is filed under '-'. A new path is a new version, which route_events compares.
local SORT_OF = {['durableq/function.finished'] = 'f', ['durableq/function.failed'] = 'e', ['durableq/function.cancelled'] = 'x',
  ['durableq/function.invoked'] = 'i', ['durableq/cron.tick'] = 't'}
local function hear(event_name, path)
  if redis.call('HEXISTS', heard(event_name), 'p ' .. path) == 1 then return true end
  -- 32 paths, and `since` and `open`.
  if path ~= '-' and redis.call('HLEN', heard(event_name)) >= 34 then return false end
  redis.call('HSET', heard(event_name), 'p ' .. path, 1)
  redis.call('ZADD', names, redis.call('HINCRBY', meta, 'names', 1), event_name)
  local sort = SORT_OF[event_name]
  if sort then set_echo('', (redis.call('HGET', echoes, '') or '') .. sort) end
  return true
end
