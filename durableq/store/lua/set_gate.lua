-- set_gate: close admission when Redis is nearly out of memory and no history is left to prune; open it again later.
-- keys: meta
-- args: used_percent:int, prunable:int
-- returns: 1 if it is closed now, 1 if that changed
-- Closes at 80 % of maxmemory, opens below 75 %, so that it does not flap; any number of processes may say what they see.
-- `gate` is the time until which it is closed: 30 s from the last look, so it does not outlive those who look.
local until_ms = tonumber(redis.call('HGET', meta, 'gate') or 0)
local was = until_ms > now
local closed = was
if used_percent >= 80 and prunable == 0 then
  closed = true
elseif used_percent < 75 then
  closed = false
end
if closed then
  redis.call('HSET', meta, 'gate', now + 30000)
elseif until_ms > 0 then
  redis.call('HDEL', meta, 'gate')
end
return {closed and 1 or 0, closed ~= was and 1 or 0}
