-- place_of(created, place): the entry of the stream behind which a run sees events, from its fields c and p.
-- p is absent (the entry is `c-0`), a sequence number (`c-p`), or a whole id (a run that no event started).
local function place_of(created, place)
  if not place then return created .. '-0' end
  if string.find(place, '-', 1, true) then return place end
  return created .. '-' .. place
end
