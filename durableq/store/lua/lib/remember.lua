-- remember(id, verb, key, note): append to the run's history, which feeds screens and never decisions.
-- keys: history(id)
local function remember(id, verb, key, note)
  if redis.call('RPUSH', history(id), now_text .. ' ' .. verb .. ' ' .. key .. ' ' .. note) > 1000 then
    redis.call('LTRIM', history(id), -1000, -1)
  end
end
