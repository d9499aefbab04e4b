-- has_key(key): the run that has an idempotency key now; nil if it is free.
-- keys: once(key)
local function has_key(key)
  local until_ms, holder = string.match(redis.call('GET', once(key)) or '', '^(%d+) (%S+)$')
  return until_ms and tonumber(until_ms) > now and holder or nil
end
