-- claim_lanes(fn, want, take, finish_ms): take up to `want` runs out of the open lanes of fn, those first that are longest unserved, by take(id, finish_ms). Returns a new timer, lanes visited, whether any is open.
-- keys: flow(app), lanes(function), lane(lane), gated(function), slots(pool), tat(key), parked(gate), blocked(function), sharers(pool), timers, run(id)
-- include: gates_of, is_wider, numbers_of, room_of, turn_of, has_parked, unpark
-- A visit takes runs, or finds a gate shut and parks the lane there. What keeps parked lanes from being forgotten: while a gate is open and lanes of fn are parked at it,
-- some open lane has that gate. So a lane that ceases to be open, for whatever reason, opens another one at each of its gates that has room left.
-- Of several shut gates the narrowest counts: it is not going to open for anybody else.
-- What gates have is read once a call and kept in `known`; throttles that were moved on are written when all lanes were visited.
local known = {slots = {}, tat = {}}
local function pass_on(fn, gates, rooms, but, touched)
  local earliest
  for g, gate in ipairs(gates) do
    if g ~= but then
      if rooms[g] > 0 then
        unpark(gate[3], fn, 1, touched)
      elseif gate[1] == 't' and redis.call('EXISTS', parked(gate[3] .. ' ' .. fn)) == 1 then
        -- The timer that opened this lane is gone; the others wait for the next one.
        earliest = math.ceil(rooms.opens_at)
        redis.call('ZADD', timers, earliest, 'T ' .. gate[3] .. ' ' .. fn)
      end
    end
  end
  return earliest
end
local function park(fn, name, gates, rooms, shut, place, turn, touched)
  local gate = gates[shut]
  local at, score = gate[3], turn
  -- Where lanes take turns one that was served goes behind all others; else it keeps its own.
  if not is_wider(gates, shut) then score = place end
  redis.call('ZREM', lanes(fn), name)
  redis.call('ZADD', parked(at .. ' ' .. fn), score, name)
  none_parked[at .. ' ' .. fn], parked_known[fn] = nil, true
  redis.call('SADD', blocked(fn), at)
  local earliest
  if gate[1] == 't' then
    earliest = math.ceil(rooms.opens_at)
    redis.call('ZADD', timers, earliest, 'T ' .. at .. ' ' .. fn)
  end
  return math.min(earliest or math.huge, pass_on(fn, gates, rooms, shut, touched) or math.huge)
end
local function visit(fn, name, turn, numbers, share, take, finish_ms, touched, gone, last)
  local gates, rooms, room, shut = gates_of(string.sub(name, #fn + 1)), {}, share, nil
  local each, from
  for g = #gates, 1, -1 do
    local free, T, at, opens_at = room_of(gates[g], numbers, known)
    rooms[g], room = free, math.min(room, free)
    if T then each, from, rooms.opens_at = T, at, opens_at end
    if free <= 0 and not shut then shut = g end
  end
  local key = lane(name)
  local head = shut and redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
  if head then return 0, park(fn, name, gates, rooms, shut, head, string.format('%d', turn - 1), touched) end
  local popped = shut and {} or redis.call('ZPOPMIN', key, room)
  local taken = {}
  for k = 1, #popped, 2 do
    gone[#gone + 1] = popped[k]
    if take(popped[k], finish_ms) then taken[#taken + 1] = popped[k] end
  end
  local count = #taken
  if count > 0 then
    for g, gate in ipairs(gates) do
      local pool = gate[3]
      if gate[1] ~= 't' then
        redis.call('SADD', slots(pool), unpack(taken))
        -- Unread where the function has no number any more: others that share the pool read it then, these included.
        if known.slots[pool] then known.slots[pool] = known.slots[pool] + count end
      elseif each then
        known.tat[pool] = from + count * each
        known.moved = true
        rooms.opens_at = rooms.opens_at + count * each
      end
      rooms[g] = rooms[g] - count
      if rooms[g] <= 0 then shut = g end
    end
  end
  head = #popped == 2 * room and redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
  if not head then
    -- Where nothing is parked nobody relies on when it goes.
    if has_parked(fn) then redis.call('ZREM', lanes(fn), name) else gone.lanes[#gone.lanes + 1] = name end
    return count, pass_on(fn, gates, rooms, nil, touched)
  end
  if shut then return count, park(fn, name, gates, rooms, shut, head, now_text .. '000', touched) end
  redis.call('ZADD', lanes(fn), string.format('%d', turn_of(name) + last), name)
  return count, nil
end
-- The next slot of a shared pool may open a lane of fn again, in the order of what is parked there.
local function share_on(fn, name)
  for _, gate in ipairs(gates_of(string.sub(name, #fn + 1))) do
    local first = string.byte(gate[3]) == 43 and redis.call('ZRANGE', parked(gate[3] .. ' ' .. fn), 0, 0, 'WITHSCORES')[2]
    if first then redis.call('ZADD', sharers(gate[3]), first, fn) end
  end
end
local function claim_lanes(fn, want, take, finish_ms)
  local numbers, got, earliest, gone, touched = numbers_of(fn), 0, nil, {lanes = {}}, {}
  local names = redis.call('ZRANGE', lanes(fn), 0, math.min(want, 50) - 1, 'WITHSCORES')
  local visits = #names / 2
  -- Behind all others, also within one ms and after the clock has stepped back.
  local last = visits > 1 and math.max(0, tonumber(redis.call('ZRANGE', lanes(fn), -1, -1, 'WITHSCORES')[2]) - now * 1000) or 0
  for i = 1, visits do
    local name = names[2 * i - 1]
    local count, due = visit(fn, name, names[2 * i], numbers, math.ceil((want - got) / (visits - i + 1)), take, finish_ms, touched, gone, last + i)
    got = got + count
    if string.find(name, '=+', 1, true) and has_parked(fn) then share_on(fn, name) end
    if due and due < math.huge then earliest = math.min(earliest or due, due) end
  end
  if #gone > 0 then redis.call('SREM', gated(fn), unpack(gone)) end
  if #gone.lanes > 0 then redis.call('ZREM', lanes(fn), unpack(gone.lanes)) end
  if known.moved then
    for pool, due in pairs(known.tat) do
      redis.call('SET', tat(pool), string.format('%.3f', due), 'PX', string.format('%d', math.max(0, due - now) + 60000))
    end
    known.moved = nil
  end
  return earliest, visits, redis.call('EXISTS', lanes(fn)) == 1
end
