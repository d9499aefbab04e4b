-- count_work: what is left to do now for children that have these leases: events to route and deliver, runs to claim, runs in hand.
-- keys: meta, lease(lease), held(lease), ready(function), suspects(app), run(id), timers, gated(function), lanes(function)
-- include: app_of
-- items: lease_id:str
-- returns: events that wait to be routed, runs ready for functions of the leases, runs held by them, timers that are due, events to deliver to waits
-- One script, since a run goes from one of these places to the next: whoever looks one by one may miss it in each.
-- Of the suspects of an app the first 100 are looked at, as a claim does. Reads only.
local counts = redis.call('HMGET', meta, 'sent', 'routed', 'posts')
local unrouted = tonumber(counts[1] or 0) - tonumber(counts[2] or 0)
local ready_runs, in_hand, mine, apps = 0, 0, {}, {}
for i = 1, ITEMS do
  in_hand = in_hand + redis.call('SCARD', held(item(i)))
  for _, field in ipairs(redis.call('HKEYS', lease(item(i)))) do
    local fn = string.match(field, '^f:(.+)')
    if fn and not mine[fn] then
      mine[fn], apps[app_of(fn)] = true, true
      ready_runs = ready_runs + redis.call('ZCARD', ready(fn)) + (redis.call('EXISTS', lanes(fn)) == 1 and redis.call('SCARD', gated(fn)) or 0)
    end
  end
end
for app in pairs(apps) do
  for _, id in ipairs(redis.call('ZRANGE', suspects(app), 0, 99)) do
    if mine[redis.call('HGET', run(id), 'f') or ''] then ready_runs = ready_runs + 1 end
  end
end
return {unrouted, ready_runs, in_hand, redis.call('ZCOUNT', timers, '-inf', now), tonumber(counts[3] or 0)}
