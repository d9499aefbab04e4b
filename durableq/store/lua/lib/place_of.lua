-- place_of(created, place): the place in the stream behind which a run sees events, from its fields c and p.
-- p is there only if no event started the run. Whose run an event has started knows the entry itself, from the run's id, and says it.
local function place_of(created, place)
  return place or created .. '-0'
end
