-- end_hold(freed, id, fn, j, all): note in `freed` the slots that a run gives back: all, or those of its turn. let_go() returns them.
-- include: gates_of
-- What a run holds is said by its gates and its state: in hand all of them, else those for the whole run once it has begun.
local function end_hold(freed, id, fn, j, all)
  for _, gate in ipairs(gates_of(string.match(j, '^%S+(.*)$'))) do
    local kind, pool = gate[1], gate[3]
    if kind == 'c' or all and kind ~= 't' then
      local runs = freed[pool]
      if not runs then
        runs = {fn = fn}
        freed[pool] = runs
      end
      runs[#runs + 1] = id
    end
  end
end
