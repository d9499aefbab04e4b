-- prelude: what stands before every script. Lines between `--[name` and `--]` are taken only where the header asks for them.
--[identity
if redis.call('HGET', meta, 'identity') ~= ARGV[1] then
  return redis.error_reply('STATE_LOST ' .. (redis.call('HGET', meta, 'identity') or 'none'))
end
--]
local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
-- What is stored, and what is given to a command, is text: Redis writes a number at three times the cost.
local now_text = string.format('%d', now)
--[admission
if tonumber(redis.call('HGET', meta, 'gate') or 0) > now then
  return redis.error_reply('QUEUE_FULL the memory gate is closed')
end
--]
--[passage
redis.call('DEL', scratch)
--]
