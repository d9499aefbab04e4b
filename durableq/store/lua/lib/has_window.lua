-- has_window(key, limit, period_ms): whether one more may be admitted: fewer than `limit` were, within the last `period_ms`.
-- keys: rate(key)
-- The list has the times of the last admissions, newest first. One that is more than a period ahead is from another clock.
local function has_window(key, limit, period_ms)
  local newest = tonumber(redis.call('LINDEX', rate(key), 0) or 0)
  if newest > now + period_ms then
    redis.call('DEL', rate(key))
    return true
  end
  local before = redis.call('LINDEX', rate(key), limit - 1)
  return not before or tonumber(before) <= now - period_ms
end
