-- queue_run(id, fn, created, deaths, touched): put a run that nobody holds where it will be claimed, oldest first.
-- keys: run(id), ready(function), suspects(app)
-- include: app_of
-- A run that saw two deaths of its worker waits apart, since it is claimed alone. `touched` collects what offer() tells.
local function queue_run(id, fn, created, deaths, touched)
  redis.call('HSET', run(id), 's', 'q')
  if tonumber(deaths or 0) >= 2 then
    redis.call('ZADD', suspects(app_of(fn)), created, id)
  else
    redis.call('ZADD', ready(fn), created, id)
  end
  touched[fn] = true
end
