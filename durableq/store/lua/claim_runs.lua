-- claim_runs: take ready runs under a lease, functions in turn, oldest first.
-- transition: QUEUED -> RUNNING
-- keys: meta, leases, lease(lease), held(lease), work(app), ready(function), suspects(app), run(id), input(id), steps(id), bell(app), timers, timer_bell, paused(app), flow(app), lanes(function), lane(lane), gated(function), slots(pool), tat(key), parked(gate), blocked(function), sharers(pool)
-- include: alive, app_of, ring_timers
-- rarely: claim_lanes, pass_alone, is_paused
-- args: lease_id:str, number:int, room:int, alone:int, skip:int, budget_bytes:int
-- items: app:str
-- returns: server time in ms, mode (0 normal, 1 the run is executed alone, 2 runs wait that must be executed alone), skip for
--   the next claim, 1 if events wait to be routed and 2 if to be delivered, added, then per run: id, function, epoch, created, begun, attempt, sequence,
--   deaths, input (nil: read it apart), memos flat (nil: none; a number: so many bytes, read them apart)
-- errors: LEASE_LOST when the lease has been closed or rescued
-- At the first claim of a run the time by which it must end begins, if its function has one (the lease says so).
-- The same (lease, number) returns the same runs, so a lost reply loses none. A claim that finds nothing writes nothing.
-- A run that saw two deaths of its worker is claimed only by a child that claims nothing else (`alone` 1, and nothing held).
-- `work` names a function with plain runs, and, with a star behind it, one with open lanes (decision 013). A paused function is passed over.
-- Of the functions with ready runs at most 10 are visited, the longest unserved first; each gets a fair share of the room.
if not alive(lease_id) then return redis.error_reply('LEASE_LOST ' .. lease_id) end
local known = redis.call('HMGET', lease(lease_id), 'claim', 'claimed', 'alone')
local counts = redis.call('HMGET', meta, 'sent', 'routed', 'posts', 'paused')
local pausing = counts[4] and counts[4] ~= '0'
local unrouted = (counts[1] ~= counts[2] and 1 or 0) + (counts[3] and counts[3] ~= '0' and 2 or 0)

-- What a run is counted with besides its input, memos and output: its keys and fields.
local BESIDES = 400
local budget = budget_bytes
-- The input, and how large it is. Of a run that is counted with more than there is room for, first the latter: a batch may have 10 MiB. And of all behind one that
-- did not fit, or a claim of a hundred would read a hundred large ones for nothing.
local careful = false
local function given_to(id, counted)
  if careful or tonumber(counted or 0) - BESIDES > budget then
    local size = redis.call('STRLEN', input(id))
    if size > budget then return false, size end
  end
  local given = redis.call('GET', input(id)) or ''
  if #given > budget then careful = true end
  return given, #given
end
local function described(id, v, epoch, begun, given, input_bytes)
  local memos = false
  if input_bytes > budget then given = false else budget = budget - input_bytes end
  if v[6] or v[9] then
    -- Before its first claim a run with a timer is not counted yet: then it must not make room for others.
    local size = math.max(0, tonumber(v[7] or 0) - BESIDES - input_bytes)
    if size > budget then
      memos = size
    else
      memos = redis.call('HGETALL', steps(id))
      budget = budget - size
    end
  end
  return {id, v[3], epoch, v[4], begun, tonumber(v[5] or 0), tonumber(v[6] or 0), tonumber(v[8] or 0), given, memos}
end
local FIELDS = {'s', 'n', 'f', 'c', 'a', 'q', 'm', 'x', 't', 'b', 'l', 'd'}

if tonumber(known[1] or -1) > number then return {now, 0, skip, unrouted, {}} end
room = math.min(room, 100)
if tonumber(known[1] or -1) == number then
  local again = {}
  for id, epoch in string.gmatch(known[2], '(%S+):(%d+)') do
    local v = redis.call('HMGET', run(id), unpack(FIELDS))
    if v[1] == 'r' and v[11] == lease_id and v[2] == epoch then
      again[#again + 1] = described(id, v, tonumber(epoch), v[10], given_to(id, v[7]))
    end
  end
  return {now, known[3] and 1 or 0, skip, unrouted, again}
end

local runs, claimed, members = {}, {}, {}
local earliest
local function end_by(id, finish_ms)
  redis.call('ZADD', timers, now + finish_ms, 'f ' .. id)
  redis.call('HSET', run(id), 'k', (redis.call('HGET', run(id), 'k') or '') .. 't')
  earliest = math.min(earliest or now + finish_ms, now + finish_ms)
end
-- finish_ms: '1' where the function has none. Returns whether it was taken.
local function take(id, finish_ms)
  local v = redis.call('HMGET', run(id), unpack(FIELDS))
  if v[1] ~= 'q' then return false end
  local epoch = tonumber(v[2] or 0) + 1
  local epoch_text = string.format('%d', epoch)
  local given, input_bytes = given_to(id, v[7])
  if v[10] then
    redis.call('HSET', run(id), 's', 'r', 'l', lease_id, 'n', epoch_text)
  else
    -- A rerun is counted with the memos that it has been given, a batch since it was closed.
    local bytes = v[7] or string.format('%d', BESIDES + input_bytes)
    redis.call('HSET', run(id), 's', 'r', 'l', lease_id, 'n', epoch_text, 'b', now_text, 'm', bytes)
  end
  if v[12] then redis.call('HDEL', run(id), 'd') end
  if not v[10] and finish_ms ~= '1' then end_by(id, tonumber(finish_ms)) end
  members[#members + 1] = id
  claimed[#claimed + 1] = id .. ':' .. epoch_text
  runs[#runs + 1] = described(id, v, epoch, v[10] or now, given, input_bytes)
  return true
end
local function remember_claim()
  if earliest then ring_timers(earliest) end
  if #members == 0 then return end
  redis.call('SADD', held(lease_id), unpack(members))
  redis.call('HSET', lease(lease_id), 'claim', number, 'claimed', table.concat(claimed, ' '))
end

if known[3] then return {now, 1, skip, unrouted, runs} end

local function suspect_of(app)
  for _, id in ipairs(redis.call('ZRANGE', suspects(app), 0, 99)) do
    local v = redis.call('HMGET', run(id), 'f', 'j')
    local finish_ms = v[1] and redis.call('HGET', lease(lease_id), 'f:' .. v[1])
    if finish_ms and not (pausing and is_paused(v[1])) then
      if not v[2] or pass_alone(id, v[1], v[2], false) then return id, finish_ms, v[2] end
    end
  end
end

local suspected = 0
for i = 1, ITEMS do
  local app = item(i)
  local suspect, finish_ms, gates
  if redis.call('EXISTS', suspects(app)) == 1 then suspect, finish_ms, gates = suspect_of(app) end
  if suspect then
    suspected = 1
    if alone == 1 and redis.call('EXISTS', held(lease_id)) == 0 then
      redis.call('ZREM', suspects(app), suspect)
      take(suspect, finish_ms)
      if gates then pass_alone(suspect, '', gates, true) end
      if #members == 1 then redis.call('HSET', lease(lease_id), 'alone', suspect) end
      remember_claim()
      return {now, 1, skip, unrouted, runs}
    end
  end
end
if alone == 1 or room <= 0 then return {now, suspected * 2, skip, unrouted, runs} end

local serving, beyond, more, finishing = {}, {}, 0, {}
for i = 1, ITEMS do
  local app = item(i)
  local names = redis.call('ZRANGE', work(app), skip, skip + 99)
  if #names == 100 then more = skip + 100 end
  if #names > 0 then
    local fields = {}
    for j, fn in ipairs(names) do fields[j] = 'f:' .. (string.byte(fn, -1) == 42 and string.sub(fn, 1, -2) or fn) end
    local mine = redis.call('HMGET', lease(lease_id), unpack(fields))
    for j, fn in ipairs(names) do
      if mine[j] and pausing and is_paused(string.match(fn, '^[^*]+')) then
        -- What is made ready meanwhile puts it back here; resume does in any case.
        redis.call('ZREM', work(app), fn)
      elseif mine[j] then
        finishing[fn] = mine[j]
        if #serving < 10 then serving[#serving + 1] = fn else beyond[#beyond + 1] = fn end
      end
    end
  end
end

-- Behind all others, also within one ms and after the clock has stepped back.
local turns = {}
local function to_the_end(fn)
  local app = app_of(fn)
  if not turns[app] then turns[app] = tonumber(redis.call('ZRANGE', work(app), -1, -1, 'WITHSCORES')[2] or 0) end
  turns[app] = math.max(now, turns[app] + 1)
  redis.call('ZADD', work(app), turns[app], fn)
end

local left, visits = room, 200
while #serving > 0 and left > 0 and visits > 0 do
  local still = {}
  for j, fn in ipairs(serving) do
    local share = math.ceil(left / (#serving - j + 1))
    if share > 0 and string.byte(fn, -1) == 42 then
      local due, visited, open = claim_lanes(string.sub(fn, 1, -2), share, take, finishing[fn])
      visits = visits - math.max(1, visited)
      if due then earliest = math.min(earliest or due, due) end
      if open then
        still[#still + 1] = fn
        to_the_end(fn)
      else
        redis.call('ZREM', work(app_of(fn)), fn)
      end
      left = room - #members
    elseif share > 0 then
      local popped = redis.call('ZPOPMIN', ready(fn), share)
      for k = 1, #popped, 2 do take(popped[k], finishing[fn]) end
      left = room - #members
      if #popped / 2 == share then
        still[#still + 1] = fn
        to_the_end(fn)
      else
        redis.call('ZREM', work(app_of(fn)), fn)
      end
    else
      still[#still + 1] = fn
    end
  end
  serving = still
end
remember_claim()
local rung = {}
for _, fn in ipairs(#serving > 0 and serving or beyond) do
  local app = app_of(fn)
  if not rung[app] then
    rung[app] = true
    redis.call('XADD', bell(app), 'NOMKSTREAM', 'MAXLEN', 1, '*', 'e', '1')
  end
end
return {now, suspected * 2, #members == 0 and more or 0, unrouted, runs}
