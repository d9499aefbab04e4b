-- limit_of(gate, numbers): how many runs a pool may have, as the newest deployment of a function has it; nil: the limit was removed.
local function limit_of(gate, numbers)
  return gate[1] == 'z' and 1 or tonumber(numbers[gate[2]] or numbers[string.sub(gate[2], 1, 1)])
end
