-- has_room(fn, j): whether a suspect's gates are open. It has begun, so that they are those of a turn.
-- keys: flow(app), slots(pool), tat(key)
-- include: gates_of, numbers_of, room_of
local function has_room(fn, j)
  local numbers = numbers_of(fn)
  for _, gate in ipairs(gates_of(j)) do
    if room_of(gate, numbers) <= 0 then return false end
  end
  return true
end
