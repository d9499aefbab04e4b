-- file_wait(kind, id, key, place, until_ms, event_name, path, bucket, anyhow, tail): file what an event may answer. Returns where.
-- keys: meta, heard(event), names, echoes, idle, waits(bucket)
-- include: hear
-- kind 'v' is a wait, 'x' a listener that cancels. `anyhow` is the bucket of the path '-', for a name that has too many paths.
-- The place, `bucket ticket name`, is what take_back() wants. Tickets only grow: who reads a bucket up to the last one that was given out when an
-- event was routed, meets no wait that has looked at that event itself.
local function file_wait(kind, id, key, place, until_ms, event_name, path, bucket, anyhow, tail)
  if not hear(event_name, path) then
    hear(event_name, '-')
    bucket = anyhow
  end
  local ticket = redis.call('HINCRBY', meta, 'tickets', 1)
  local member = kind .. ' ' .. id .. ' ' .. key .. ' ' .. place .. ' ' .. string.format('%d', until_ms) .. ' ' .. tail
  redis.call('ZADD', waits(bucket), ticket, member)
  if redis.call('HINCRBY', heard(event_name), 'open', 1) == 1 then redis.call('ZREM', idle, event_name) end
  return bucket .. ' ' .. string.format('%d', ticket) .. ' ' .. event_name
end
