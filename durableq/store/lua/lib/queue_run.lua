-- queue_run(id, fn, created, deaths, touched, j, fresh): put a run that nobody holds where it will be claimed, oldest first.
-- keys: run(id), ready(function), suspects(app), lane(lane), lanes(function), gated(function)
-- include: app_of
-- rarely: queue_lane
-- j is its field of that name, of a run that has gates; fresh: it has not begun yet. A run that saw two deaths of its worker waits apart, since it is claimed alone. `touched` collects what offer() tells.
local function queue_run(id, fn, created, deaths, touched, j, fresh)
  redis.call('HSET', run(id), 's', 'q')
  if tonumber(deaths or 0) >= 2 then
    redis.call('ZADD', suspects(app_of(fn)), created, id)
  elseif j and queue_lane(id, fn, j, not fresh, touched) then
    return
  else
    redis.call('ZADD', ready(fn), created, id)
  end
  touched[fn] = true
end
