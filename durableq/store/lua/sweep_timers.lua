-- sweep_timers: remove timers of final runs, at most `limit` runs and about 1 MB of their memos a call.
-- keys: meta, void, steps(id), timers, run(id)
-- include: void_timers
-- args: limit:int
-- returns: timers removed, 1 if there are more
-- Until then they are without effect: fire_timers ignores what belongs to a final run.
local removed, read_bytes = 0, 0
for _, id in ipairs(redis.call('SRANDMEMBER', void, limit)) do
  if read_bytes > 1000000 then break end
  read_bytes = read_bytes + tonumber(redis.call('HGET', run(id), 'm') or 0)
  removed = removed + void_timers(id)
  redis.call('SREM', void, id)
end
return {removed, redis.call('EXISTS', void)}
