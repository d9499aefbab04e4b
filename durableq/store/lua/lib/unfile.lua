-- unfile(id, key, kind, filed): a wait of this kind is over: take it out of where it would be found.
-- keys: heard(event), idle, waits(bucket), signals
-- include: take_back
-- A signal that another wait has taken over stays with that one.
local function unfile(id, key, kind, filed)
  if kind == 'v' then
    take_back(filed)
  elseif kind == 'g' and redis.call('HGET', signals, filed) == id .. ' ' .. key then
    redis.call('HDEL', signals, filed)
  end
end
