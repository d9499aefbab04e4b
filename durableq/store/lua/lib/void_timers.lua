-- void_timers(id): remove the timers of a final run. Returns how many there were.
-- keys: steps(id), timers
local function void_timers(id)
  local removed = redis.call('ZREM', timers, 'd ' .. id)
  local memos = redis.call('HGETALL', steps(id))
  for i = 1, #memos, 2 do
    local kind = string.match(memos[i + 1], '^%d+ %d+ ([wr]) ')
    if kind then removed = removed + redis.call('ZREM', timers, kind .. ' ' .. id .. ' ' .. memos[i]) end
  end
  return removed
end
