-- note_faults: count what could not be evaluated of a function's flow control where its runs are created without routing, and keep the latest reasons.
-- keys: faults
-- include: note_fault
-- items: fn:str, detail:bytes
-- returns: items noted
-- fn: a full id, a space, an option. Sent twice: counted twice, which misleads nobody.
for i = 1, ITEMS do
  local fn, detail = item(i)
  note_fault(fn, detail)
end
return ITEMS
