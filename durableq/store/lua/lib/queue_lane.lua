-- queue_lane(id, fn, j, begun, touched): put a run into the lane of the gates that it needs to be claimed. Returns whether it needs any.
-- keys: lane(lane), lanes(function), gated(function), run(id)
-- include: gates_of, queue_lanes
-- j: its place and all its gates. Of these a run that has begun needs those of a turn.
local function queue_lane(id, fn, j, begun, touched)
  local place, suffix = string.match(j, '^(%S+)(.*)$')
  if begun then suffix = gates_of(suffix).later end
  if suffix == '' then return false end
  queue_lanes(fn, {[suffix] = {place, id}}, {id}, touched)
  return true
end
