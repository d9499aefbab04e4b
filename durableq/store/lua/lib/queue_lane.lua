-- queue_lane(id, fn, j, touched): put a run that has gates into its lane. j: `place priority gates`.
-- keys: lane(lane), lanes(function), gated(function), run(id)
-- include: queue_lanes
local function queue_lane(id, fn, j, touched)
  local place, priority, gates = string.match(j, '^(%S+) (%S+)(.*)$')
  queue_lanes(fn .. gates, fn, {place, id}, tonumber(priority) > 0, touched)
end
