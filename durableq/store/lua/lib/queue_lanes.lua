-- queue_lanes(fn, came, ids, touched): put runs into lanes of fn (by suffix: place, id, flat; and the ids of all), and open those that were empty.
-- keys: lane(lane), lanes(function), gated(function), run(id)
-- include: turn_of
-- rarely: bring_forward
-- Whether the gates are open is seen when a lane is visited. One that had runs is open or parked already; with priorities these may bring it forward.
local function queue_lanes(fn, came, ids, touched)
  local opened = {}
  redis.call('SADD', gated(fn), unpack(ids))
  for suffix, placed in pairs(came) do
    local name = fn .. suffix
    redis.call('ZADD', lane(name), unpack(placed))
    if redis.call('ZCARD', lane(name)) == #placed / 2 then
      opened[#opened + 1] = turn_of(name)
      opened[#opened + 1] = name
    elseif string.find(name, ' p=1', 1, true) then
      bring_forward(fn, suffix)
    end
  end
  if #opened == 0 then return end
  redis.call('ZADD', lanes(fn), 'NX', unpack(opened))
  touched[fn .. '*'] = true
end
