-- beat(lease_ms): note that time is passing under somebody's eyes, and see whether it did since the last note.
-- keys: meta
-- After a gap of more than 3 s (Redis was away, restarted or replaced, or every process was) nobody could renew, so no
-- lease counts as expired for one lease time. Returns the ms until leases may be rescued again, 0 if they may.
local function beat(lease_ms)
  local v = redis.call('HMGET', meta, 'beat_at_ms', 'no_rescue_until_ms')
  local last, until_ms = tonumber(v[1] or 0), tonumber(v[2] or 0)
  if now - last > 3000 or now < last - 3000 then
    until_ms = now + lease_ms
    redis.call('HSET', meta, 'no_rescue_until_ms', until_ms)
  end
  redis.call('HSET', meta, 'beat_at_ms', now)
  return math.max(0, until_ms - now)
end
