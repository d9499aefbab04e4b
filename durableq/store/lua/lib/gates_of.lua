-- gates_of(suffix): the gates that a lane's name has behind its function, parsed once a call: a list of {kind, ordinal, pool}, widest first, without `p`;
--   `later`: of those the ones that a run needs at later claims, as a suffix.
local gates_known = {}
local function gates_of(suffix)
  local gates = gates_known[suffix]
  if gates then return gates end
  local later = ''
  gates = {}
  for text, kind, ordinal, pool in string.gmatch(suffix, '( (%a)(%d*)=(%S+))') do
    if kind == 'p' or kind == 'c' then later = later .. text end
    if kind ~= 'p' then gates[#gates + 1] = {kind, ordinal, pool} end
  end
  gates.later = later
  gates_known[suffix] = gates
  return gates
end
