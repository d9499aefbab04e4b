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
-- As text: a command that is given a time as a number spends a third of its own time on printing it.
local now_text = string.format('%d', now)
--[admission
if tonumber(redis.call('HGET', meta, 'gate') or 0) > now then
  return redis.error_reply('QUEUE_FULL the memory gate is closed')
end
--]
--[passage
redis.call('DEL', scratch)
--]
