-- take_window(key, limit, period_ms): note an admission. Times never go back, so a clock that steps back only makes a window last longer.
-- keys: rate(key)
local function take_window(key, limit, period_ms)
  local at = math.max(now, tonumber(redis.call('LINDEX', rate(key), 0) or 0))
  redis.call('LPUSH', rate(key), string.format('%d', at))
  redis.call('LTRIM', rate(key), 0, limit - 1)
  -- The times decide; the expiry, a minute later, only cleans up.
  redis.call('PEXPIRE', rate(key), string.format('%d', period_ms + at - now + 60000))
end
