-- close_batch(key): end a batch: its events become the input of the run that it is. Returns that run, as admit_run() wants it, or nil.
-- keys: batch(key), batching(key), holding(function), input(id), timers
-- Renamed, so that 10 MiB are neither copied nor read. The run sees events behind the last one of the batch.
local function close_batch(key)
  local v = redis.call('HMGET', batching(key), 'id', 'fn', 'created', 'place', 'detail')
  redis.call('ZREM', timers, 'B ' .. key)
  redis.call('DEL', batching(key))
  if not v[1] then return nil end
  redis.call('ZREM', holding(v[2]), 'B ' .. key)
  redis.call('RENAME', batch(key), input(v[1]))
  return {id = v[1], fn = v[2], given = false, created = v[3], place = v[4], due_at_ms = 0, own_place = v[4], detail = v[5]}
end
