-- list_ended(ended, keep_completed, keep_failed): list runs that end_run() has made final, and delete the oldest beyond what is kept.
-- keys: run(id), input(id), steps(id), history(id), output(id), done(list), kept, void
-- include: delete_runs
-- Returns the change of the bytes kept. At most one more goes than comes in, so that a lowered limit is reached by and by.
-- Room is made before they come in, so none of them goes at once, not even when the clock has
-- stepped back: somebody may be about to read what they came to.
local function list_ended(ended, keep_completed, keep_failed)
  local bytes = 0
  for list, entries in pairs(ended) do
    local came = #entries / 2
    local count = redis.call('ZCARD', done(list))
    local keep = string.sub(list, -2) == ':c' and keep_completed or keep_failed
    if count == 0 then
      redis.call('SADD', kept, list)
    elseif count + came > keep then
      bytes = bytes - delete_runs(list, redis.call('ZPOPMIN', done(list), math.min(count + came - keep, came + 1)))
    end
    redis.call('ZADD', done(list), unpack(entries))
  end
  return bytes
end
