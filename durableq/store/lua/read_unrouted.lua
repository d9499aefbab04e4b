-- read_unrouted: the entries that nobody has routed yet, with what decisions about them must name.
-- keys: meta, events
-- args: limit:int, budget_bytes:int
-- returns: the cursor, the registry's version, entries as XRANGE has them
local known = redis.call('HMGET', meta, 'routed_upto', 'registry')
local entries, bytes, from = {}, 0, '(' .. known[1]
while #entries < limit and bytes < budget_bytes do
  local page = redis.call('XRANGE', events, from, '+', 'COUNT', math.min(20, limit - #entries))
  if #page == 0 then break end
  for _, entry in ipairs(page) do
    entries[#entries + 1] = entry
    bytes = bytes + #entry[2][2]
  end
  from = '(' .. page[#page][1]
end
return {known[1], tonumber(known[2]), entries}
