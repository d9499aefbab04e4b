-- list_ended(ended, keep_completed, keep_failed): list runs that end_run() has made final, and delete the oldest beyond what is kept.
-- keys: run(id), input(id), steps(id), history(id), output(id), done(list), kept, void, timers
-- include: delete_runs
-- Returns the change of the bytes kept. At most one more goes than came in, so that a lowered limit is reached too;
-- prune_runs does the rest.
local function list_ended(ended, keep_completed, keep_failed)
  local bytes = 0
  for list, entries in pairs(ended) do
    local came = #entries / 2
    redis.call('ZADD', done(list), unpack(entries))
    local count = redis.call('ZCARD', done(list))
    if count == came then redis.call('SADD', kept, list) end
    local keep = string.sub(list, -2) == ':c' and keep_completed or keep_failed
    if count > keep then
      local oldest = redis.call('ZPOPMIN', done(list), math.min(count - keep, came + 1))
      bytes = bytes - delete_runs(oldest)
      if count == #oldest / 2 then redis.call('SREM', kept, list) end
    end
  end
  return bytes
end
