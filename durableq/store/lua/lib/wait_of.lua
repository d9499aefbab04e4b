-- wait_of(memo): of a pending wait its kind, where it is filed ('' for a sleep or a delay), and its blob. nil for a result, and for nothing.
-- `0 at kind<size> filed blob`, without the space before blob: `filed` has `size` bytes, and there is no size where there are none.
local function wait_of(memo)
  local kind, size, at = string.match(memo or '', '^0 %d+ (%a)(%d*) ()')
  if not kind then return nil end
  local split = at + tonumber(size == '' and '0' or size)
  return kind, string.sub(memo, at, split - 1), string.sub(memo, split)
end
