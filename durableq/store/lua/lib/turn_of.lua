-- turn_of(name): the turn of a lane that becomes open now, in thousandths of a ms: behind the others, but for the priority of its first run.
-- keys: lane(lane), run(id)
local function turn_of(name)
  if not string.find(name, ' p=1', 1, true) then return now_text .. '000' end
  local head = redis.call('ZRANGE', lane(name), 0, 0)[1]
  local j = head and redis.call('HGET', run(head), 'j')
  return string.format('%d000', now - tonumber(j and string.match(j, '^%S+ (%S+)') or 0))
end
