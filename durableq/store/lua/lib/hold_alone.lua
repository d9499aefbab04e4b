-- hold_alone(id, j): a suspect that has been claimed takes its slots.
-- keys: run(id), slots(pool)
-- include: gates_of, hold_run
local function hold_alone(id, j)
  local gates = gates_of(j)
  for _, gate in ipairs(gates) do
    if gate[1] ~= 't' then redis.call('ZADD', slots(gate[3]), now_text, id) end
  end
  hold_run(id, gates, true)
end
