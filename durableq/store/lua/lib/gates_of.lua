-- gates_of(name): the gates of a lane, parsed: a list of {kind, ordinal, pool}, widest first; `held`: those that a run in hand has, as text; `later`: those
--   that it needs at later claims; `begins`: whether the first claim differs from later ones.
local function gates_of(name)
  local gates, held, later, begins = {}, {}, {}, false
  for kind, ordinal, pool in string.gmatch(name, ' (%a)(%d?)=(%S+)') do
    local text = kind .. ordinal .. '=' .. pool
    if kind == 'p' or kind == 'c' then later[#later + 1] = text else begins = true end
    if kind ~= 'p' then
      gates[#gates + 1] = {kind, ordinal, pool}
      if kind ~= 't' then held[#held + 1] = text end
    end
  end
  gates.held, gates.later, gates.begins = table.concat(held, ' '), table.concat(later, ' '), begins
  return gates
end
