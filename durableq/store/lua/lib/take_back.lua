-- take_back(place): take away what file_wait() filed. Doing it again changes nothing.
-- keys: heard(event), idle, waits(bucket)
local function take_back(place)
  local bucket, ticket, event_name = string.match(place, '^(%S+) (%d+) (.*)$')
  if bucket and redis.call('ZREMRANGEBYSCORE', waits(bucket), ticket, ticket) == 1 then
    if redis.call('HINCRBY', heard(event_name), 'open', -1) == 0 then redis.call('ZADD', idle, now, event_name) end
  end
end
