-- queue_later(later, touched): queue what admit_run() has collected: of each function what needs nothing to be claimed, and its lanes.
-- keys: ready(function), lane(lane), lanes(function), gated(function), run(id)
-- include: queue_lanes
local function queue_later(later, touched)
  for fn, runs in pairs(later) do
    if #runs > 0 then
      redis.call('ZADD', ready(fn), unpack(runs))
      touched[fn] = true
    end
    if #runs.ids > 0 then queue_lanes(fn, runs.lanes, runs.ids, touched) end
  end
end
