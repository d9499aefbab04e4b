-- read_gates: the gates at which lanes of a function are parked, a page of them, and whether anything will open them.
-- keys: meta, flow(app), blocked(function), parked(gate), lane(lane), lanes(function), slots(pool), tat(key), timers, run(id)
-- args: fn:str, cursor:str, count:int
-- returns: server time in ms, where to go on ('0': that was all), then per gate: name, letter, ordinal, lanes parked there, runs in those of them that were looked into, how many those
--   are, since when the oldest of their first runs might have begun, its id, slots taken, number ('': none), where a throttle stands ('': nowhere), when its timer is due ('': none), 1 if an open lane
--   or a timer is going to open it
-- Reads only. At most 10 lanes of a gate are looked into: a wide pool may have thousands. Whether a lane will be opened is asked where that is in doubt, and of 200 open lanes: beyond that it is not.
local LANES, OPEN = 10, 200
local app, bare = string.match(fn, '^([^/]+)/(.+)$')
local numbers = app and redis.call('HGET', flow(app), bare) or ''
local hopes
local function hopeful(gate)
  if not hopes then
    hopes = {}
    local open = redis.call('ZRANGE', lanes(fn), 0, OPEN - 1)
    for _, name in ipairs(open) do
      for pool in string.gmatch(name, ' %a%d*=(%S+)') do hopes[pool] = true end
    end
    -- New numbers: their timer walks through all gates. `S`: a slot of a shared pool was given back.
    local due = redis.call('ZRANGEBYSCORE', timers, '-inf', now, 'LIMIT', 0, 100)
    hopes.all = #open == OPEN or #due == 100
    for _, timer in ipairs(due) do
      if timer == 'G ' .. fn or string.sub(timer, 1, #fn + 3) == 'G ' .. fn .. ' ' then hopes.all = true end
      local pool = string.match(timer, '^S (%S+) ')
      if pool then hopes[pool] = true end
    end
  end
  return hopes.all or hopes[gate] or redis.call('ZSCORE', timers, 'S ' .. gate)
end
local function letter_of(name, lane_name)
  for letter, ordinal, pool in string.gmatch(lane_name, ' (%a)(%d*)=(%S+)') do
    if pool == name then return letter, ordinal end
  end
  return 'c', ''
end
local page = redis.call('SSCAN', blocked(fn), cursor, 'COUNT', count)
local found = {}
for _, name in ipairs(page[2]) do
  local at = parked(name .. ' ' .. fn)
  local some = redis.call('ZRANGE', at, 0, LANES - 1)
  if #some > 0 then
    local runs, oldest, first = 0, nil, ''
    for _, one in ipairs(some) do
      runs = runs + redis.call('ZCARD', lane(one))
      local head = redis.call('ZRANGE', lane(one), 0, 0)[1]
      local v = head and redis.call('HMGET', run(head), 'y', 'c') or {}
      local since = tonumber(v[1] or v[2])
      if since and (not oldest or since < oldest) then oldest, first = since, head end
    end
    local letter, ordinal = letter_of(name, some[1])
    local taken, number, stands, timer = 0, '', '', ''
    if letter == 't' then
      stands = redis.call('GET', tat(name)) or ''
      timer = redis.call('ZSCORE', timers, 'T ' .. name .. ' ' .. fn) or ''
    else
      taken = redis.call('SCARD', slots(name))
      number = letter == 'z' and '1' or string.match(numbers, ' ' .. ordinal .. '=(%d+) ') or string.match(numbers, ' ' .. string.sub(ordinal, 1, 1) .. '=(%d+) ') or ''
    end
    local doubtful
    if letter == 't' then doubtful = timer == '' else doubtful = number == '' or taken < tonumber(number) end
    -- A shared pool may have been freed a moment ago: its timer opens what was not opened at once.
    if doubtful and redis.call('ZSCORE', timers, 'S ' .. name) then doubtful = false end
    found[#found + 1] = {name, letter, ordinal, redis.call('ZCARD', at), runs, #some, oldest or 0, first, taken, number, stands, timer, (not doubtful or hopeful(name)) and 1 or 0}
  end
end
return {now, page[1], found}
