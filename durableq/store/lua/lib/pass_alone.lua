-- pass_alone(id, fn, j, taken): whether a suspect's gates are open; with `taken`, that it was claimed: it takes its slots.
-- keys: run(id), flow(app), slots(pool), tat(key)
-- include: gates_of, numbers_of, room_of, hold_run
-- It has begun, so that its gates are those of a turn.
local function pass_alone(id, fn, j, taken)
  local gates = gates_of(j)
  for _, gate in ipairs(gates) do
    if not taken and room_of(gate, numbers_of(fn)) <= 0 then return false end
    if taken and gate[1] ~= 't' then redis.call('ZADD', slots(gate[3]), now_text, id) end
  end
  if taken then hold_run(id, gates, true) end
  return true
end
