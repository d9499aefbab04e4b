-- turn_of(name): the turn of a lane that becomes open now, in thousandths of a ms: behind the others, but for the priority of its first run.
-- keys: lane(lane), run(id)
-- A run's priority is by how much its place is before its creation.
local function turn_of(name)
  if not string.find(name, ' p=1', 1, true) then return now_text .. '000' end
  local head = redis.call('ZRANGE', lane(name), 0, 0, 'WITHSCORES')
  local created = head[1] and redis.call('HGET', run(head[1]), 'c')
  return string.format('%d000', now - (created and created - math.floor(head[2] / 1000) or 0))
end
