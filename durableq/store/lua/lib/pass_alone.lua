-- pass_alone(id, fn, j, taken): whether a suspect's gates are open; with `taken`, that it was claimed: it takes its slots.
-- keys: flow(app), slots(pool), tat(key)
-- include: gates_of, numbers_of, room_of
-- It has begun, so that its gates are those of a turn.
local function pass_alone(id, fn, j, taken)
  for _, gate in ipairs(gates_of(gates_of(string.match(j, '^%S+(.*)$')).later)) do
    if taken then
      redis.call('SADD', slots(gate[3]), id)
    elseif room_of(gate, numbers_of(fn)) <= 0 then
      return false
    end
  end
  return true
end
