-- register_app: make a deployment of an app known, and its functions the app's if it is the newest one.
-- keys: meta, apps, functions(app), deployments(app), absent(app), event_bell, crons, cron(trigger), started(trigger), timers, timer_bell, timeouts(app), echoes, flow(app)
-- include: give_number, drop_crons, set_echo
-- args: app:str, release:str
-- items: name:str, blob:bytes
-- returns: registry version, the deployment's number, 1 if it is the newest
-- A deployment is numbered when first seen, so a restart of an old one changes nothing. Functions that the newest one
-- lacks stay, listed as absent, until retire_functions finds no worker that has them; so do their cron triggers.
-- An item 'function ~' has the numbers of its flow control, which hold at once; others than before set a timer that opens what they let pass (decision 013).
-- An item 'function !' has its timeouts, 'start_ms finish_ms', which hold at once for what is queued or begun: timers that are there obey when they are
-- due, and where the numbers have changed a timer `o` sets those of all its runs. The item ' !' has the sorts of system events that triggers and cancel_on of
-- this app ask for.
-- An item whose name is 'function key' is a cron trigger of that function, with its spec. One that was there keeps where its ticks
-- stand, also if its options have changed; a new one ticks from now on.
local number = tonumber(redis.call('HGET', deployments(app), release))
local newest = tonumber(redis.call('HGET', deployments(app), '') or 0)
if not number then
  number = give_number(app, release)
  newest = number
end
redis.call('SADD', apps, app)
local changed = false
if number == newest then
  local present, scheduled, look, limited, fresh, flowing = {}, {}, false, {}, {}, {}
  local function renumber(of, numbers)
    if numbers then redis.call('HSET', flow(app), of, numbers) else redis.call('HDEL', flow(app), of) end
    redis.call('ZADD', timers, now, 'G ' .. app .. '/' .. of)
    look = true
  end
  for i = 1, ITEMS do
    local name, blob = item(i)
    if name == ' !' then
      set_echo(app, blob)
    elseif string.sub(name, -2) == ' ~' then
      local of = string.sub(name, 1, -3)
      flowing[of] = true
      if redis.call('HGET', flow(app), of) ~= blob then renumber(of, blob) end
    elseif string.sub(name, -2) == ' !' then
      local of = string.sub(name, 1, -3)
      limited[of] = true
      if redis.call('HGET', timeouts(app), of) ~= blob then
        redis.call('HSET', timeouts(app), of, blob)
        if redis.call('HEXISTS', functions(app), of) == 1 and not fresh[of] then
          redis.call('ZADD', timers, now, 'o ' .. app .. '/' .. of)
          look = true
        end
      end
    elseif string.find(name, ' ', 1, true) then
      local trigger = app .. '/' .. name
      scheduled[trigger] = true
      local spec = redis.call('HGET', cron(trigger), 'spec')
      if spec ~= blob then
        redis.call('HSET', cron(trigger), 'spec', blob)
        redis.call('HSETNX', cron(trigger), 'upto', now_text)
        redis.call('ZADD', crons, now, trigger)
        look = true
      end
    else
      present[app .. '/' .. name] = true
      local known = redis.call('HGET', functions(app), name)
      fresh[name] = not known
      if known ~= blob then
        redis.call('HSET', functions(app), name, blob)
        changed = true
      end
      redis.call('ZREM', absent(app), name)
    end
  end
  for _, of in ipairs(redis.call('HKEYS', timeouts(app))) do
    if present[app .. '/' .. of] and not limited[of] then redis.call('HDEL', timeouts(app), of) end
  end
  for _, of in ipairs(redis.call('HKEYS', flow(app))) do
    if present[app .. '/' .. of] and not flowing[of] then renumber(of, nil) end
  end
  drop_crons(function(fn, trigger) return present[fn] and not scheduled[trigger] end)
  if look then redis.call('XADD', timer_bell, 'MAXLEN', 1, '*', 'e', '1') end
  for _, name in ipairs(redis.call('HKEYS', functions(app))) do
    if not present[app .. '/' .. name] then redis.call('ZADD', absent(app), 'NX', now, name) end
  end
end
local version = tonumber(redis.call('HGET', meta, 'registry') or 0)
if changed then version = redis.call('HINCRBY', meta, 'registry', 1) end
redis.call('XADD', event_bell, 'MAXLEN', 1, '*', 'e', '1')
return {version, number, number == newest and 1 or 0}
