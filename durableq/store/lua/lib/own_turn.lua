-- own_turn(pool, fn, name, score): the turn of a lane that a shared pool opens, of which others may be opened besides: where lanes take turns there it keeps its own, if it is not served. nil: it has none.
-- include: gates_of, is_wider
local function own_turn(pool, fn, name, score)
  local gates = gates_of(string.sub(name, #fn + 1))
  for g, gate in ipairs(gates) do
    if gate[3] == pool and is_wider(gates, g) then return score end
  end
end
