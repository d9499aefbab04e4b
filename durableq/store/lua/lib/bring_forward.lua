-- bring_forward(fn, suffix): a lane that had runs already, open or parked, has got one with a priority that may be the first: its turn comes earlier, wherever it is.
-- keys: lanes(function), lane(lane), run(id), parked(gate), blocked(function)
-- include: turn_of, has_parked, gates_of, is_wider
local function bring_forward(fn, suffix)
  local name = fn .. suffix
  local turn = turn_of(name)
  redis.call('ZADD', lanes(fn), 'XX', 'LT', turn, name)
  if not has_parked(fn) then return end
  local place = redis.call('ZRANGE', lane(name), 0, 0, 'WITHSCORES')[2]
  local gates = gates_of(suffix)
  for g, gate in ipairs(gates) do
    redis.call('ZADD', parked(gate[3] .. ' ' .. fn), 'XX', 'LT', is_wider(gates, g) and turn or place, name)
  end
end
