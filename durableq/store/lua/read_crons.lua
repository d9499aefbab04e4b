-- read_crons: the cron triggers that a scheduler must look at now, and when it must look again.
-- keys: meta, crons, cron(trigger)
-- args: limit:int
-- returns: server time in ms, ms until the next look beyond those returned (-1: there is none), then per trigger: its name,
--   spec, up to where its ticks are settled in ms
local due = redis.call('ZRANGEBYSCORE', crons, '-inf', now, 'LIMIT', 0, limit)
local found = {}
for _, trigger in ipairs(due) do
  local v = redis.call('HMGET', cron(trigger), 'spec', 'upto')
  if v[1] and v[2] then
    found[#found + 1] = {trigger, v[1], tonumber(v[2])}
  else
    -- Somebody has deleted the hash: the next deployment makes it anew.
    redis.call('ZREM', crons, trigger)
  end
end
local head = redis.call('ZRANGE', crons, #due, #due, 'WITHSCORES')
return {now, head[2] and math.max(0, tonumber(head[2]) - now) or -1, found}
