-- queue_later(later, touched): queue what admit_run() has collected: a lane's runs at once, and those that need nothing to be claimed.
-- keys: ready(function), lane(lane), lanes(function), gated(function), run(id)
-- include: queue_lanes
local function queue_later(later, touched)
  for name, runs in pairs(later) do
    if name == runs.fn then
      redis.call('ZADD', ready(name), unpack(runs))
      touched[name] = true
    else
      queue_lanes(name, runs.fn, runs, runs.ids, touched)
    end
  end
end
