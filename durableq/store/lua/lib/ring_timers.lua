-- ring_timers(due): wake one scheduler if this is now the earliest timer of all.
-- keys: timers, timer_bell
local function ring_timers(due)
  local first = redis.call('ZRANGE', timers, 0, 0, 'WITHSCORES')
  if first[2] and tonumber(first[2]) >= due then
    redis.call('XADD', timer_bell, 'MAXLEN', 1, '*', 'e', '1')
  end
end
