-- dress_run(id, extras, place, due_at_ms): give a new run what its declaration asks for: listeners that cancel it, a time by which to begin.
-- keys: meta, run(id), timers, listens(id), heard(event), names, echoes, idle, waits(bucket)
-- include: file_wait
-- extras: `flags start_ms ` (flags: s for a silent run, i for one whose invokes are told to nobody, or -), then per listener `size path bucket anyhow until_ms namesize nametail`, without the space between name and tail;
-- until_ms counts from due_at_ms, 0 is for ever. Returns the time of a new timer, or nil.
local function dress_run(id, extras, place, due_at_ms)
  local flags, start_ms, at = string.match(extras, '^(%S+) (%d+) ()')
  local count = 0
  while at <= #extras do
    local size, from = string.match(extras, '^(%d+) ()', at)
    local one = string.sub(extras, from, from + size - 1)
    at = from + size
    local path, bucket, anyhow, until_ms, name_size, rest = string.match(one, '^(%S+) (%S+) (%S+) (%d+) (%d+) ()')
    local event_name, tail = string.sub(one, rest, rest + name_size - 1), string.sub(one, rest + name_size)
    until_ms = tonumber(until_ms) > 0 and due_at_ms + until_ms or 0
    redis.call('RPUSH', listens(id), file_wait('x', id, count, place, until_ms, event_name, path, bucket, anyhow, tail))
    count = count + 1
  end
  if flags == '-' then flags = '' end
  if count > 0 then flags = flags .. 'l' end
  if tonumber(start_ms) > 0 then flags = flags .. 't' end
  if flags ~= '' then redis.call('HSET', run(id), 'k', flags) end
  if tonumber(start_ms) == 0 then return nil end
  redis.call('ZADD', timers, due_at_ms + start_ms, 'b ' .. id)
  return due_at_ms + start_ms
end
