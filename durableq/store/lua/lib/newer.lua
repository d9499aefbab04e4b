-- newer(id, outside, seen): the results from outside that the holder has not seen: key, memo, flat.
-- keys: run(id), news(id), steps(id)
-- include: tell_memo
-- `outside` is the run's flag that there are any, so that the common case costs nothing.
local function newer(id, outside, seen)
  if not outside then return {} end
  local found = {}
  local first = redis.call('LINDEX', news(id), 0)
  while first and tonumber(string.match(first, '^%d+')) <= seen do
    redis.call('LPOP', news(id))
    first = redis.call('LINDEX', news(id), 0)
  end
  if not first then redis.call('HDEL', run(id), 'o') end
  for _, entry in ipairs(redis.call('LRANGE', news(id), 0, -1)) do
    local number, key, memo = string.match(entry, '^(%d+) (%S+) ?(.*)$')
    if tonumber(number) > seen then
      -- Of a large one only the key is here.
      if memo == '' then memo = redis.call('HGET', steps(id), key) end
      tell_memo(found, key, memo)
    end
  end
  return found
end
