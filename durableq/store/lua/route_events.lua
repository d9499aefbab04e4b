-- route_events: create the runs that the entries (after, upto] start, and move the cursor from after to upto.
-- transition: ABSENT -> QUEUED, ABSENT -> WAITING
-- include: app_of, offer, ring_timers
-- rarely: note_fault, dress_run, admit_run, is_paused, note_skip, queue_later
-- admission: refused with QUEUE_FULL while the memory gate is closed
-- keys: meta, events, run(id), input(id), ready(function), work(app), waiting(function), timers, timer_bell, bell(app), aside, faults, names, idle, heard(event), recent(event), waits(bucket), post(event), posts, echoes, listens(id), flow(app), paused(app), once(key), rate(key), lock(key), skips(function), skipped(app), lane(lane), lanes(function), gated(function), parked(gate), blocked(function), debounce(key), batch(key), batching(key), holding(function)
-- args: after:str, upto:str, registry:int, names_seen:int, heard_items:int, about:str, entries:int, trim_above:int
-- items: kind:str, entry:str, id:str, fn:str, due_at_ms:int, detail:bytes
-- returns: created runs, 1 if entries remain beyond the cursor, entries posted for waits
-- errors: QUEUE_FULL when Redis is nearly out of memory, CURSOR_MOVED when somebody else has routed or the entries are others, REGISTRY_CHANGED when the decisions rest on old functions, NAMES_CHANGED when something waits for a name that the caller does not know of, DELIVERIES_BEHIND when 1,000 entries, or 64 MB of them, wait to be delivered already
-- An item of kind 'run' starts a run of fn, with what its declaration asks for in detail (dress_run; with flow control, which begins with '@', admit_run); 'event' says what an entry stands for that is
-- only a reference (a system event); 'heard' names an event that something may wait for, in fn, and in detail the buckets where it would be filed:
-- the entry goes into the name's buffer, and is posted if there is such a bucket. 'aside' sets the entry aside with the reason in detail; 'fault' notes that a
-- trigger of fn could not be evaluated, with the reason in detail. heard_items is how many are 'heard'.
-- about: the names of all these entries, each between newlines; '' where the caller has no need to say. Then what waits for other names since is no
-- reason to refuse: with a thousand new names a second nothing would be routed otherwise. The cursor is the acknowledgement: sent twice, the
-- second is refused and changes nothing.
local known = redis.call('HMGET', meta, 'routed_upto', 'registry', 'sent', 'routed', 'names', 'paused')
if known[1] ~= after then return redis.error_reply('CURSOR_MOVED ' .. known[1]) end
if tonumber(known[2]) ~= registry then return redis.error_reply('REGISTRY_CHANGED ' .. known[2]) end
if tonumber(known[5] or 0) ~= names_seen then
  local unknown = about == ''
  local added = unknown and {} or redis.call('ZRANGEBYSCORE', names, '(' .. names_seen, '+inf', 'LIMIT', 0, 1000)
  for _, event_name in ipairs(added) do
    unknown = unknown or string.find(about, '\n' .. event_name .. '\n', 1, true)
  end
  if unknown or #added == 1000 then return redis.error_reply('NAMES_CHANGED ' .. (known[5] or '0')) end
end
if entries == 0 then
  -- The counts say that something waits, the stream does not (entries were deleted by hand): believe the stream.
  if #redis.call('XRANGE', events, '(' .. after, '+', 'COUNT', 1) == 0 then redis.call('HSET', meta, 'routed', known[3]) end
  return {0, 0, 0}
end
-- All at once: to look up one entry costs more than to read ten in a row. They must be those that were decided: a server that
-- came back older lacks what a bell had brought, and a cursor beyond its last entry would pass over those that come next.
local found, blobs = redis.call('XRANGE', events, '(' .. after, upto, 'COUNT', entries + 1), {}
if #found ~= entries or found[entries][1] ~= upto then return redis.error_reply('CURSOR_MOVED ' .. known[1]) end
for _, entry in ipairs(found) do blobs[entry[1]] = entry[2][2] end
local pausing = known[6] and known[6] ~= '0'
local later = {}
local created, touched, queued, earliest, posted, posted_bytes = 0, {}, {}, nil, 0, 0
local function post_entry(entry, event_name, buckets)
  local v = redis.call('HMGET', heard(event_name), 'since', 'open')
  local blob = blobs[entry]
  if v[1] then
    local oldest = string.format('%d', math.max(0, tonumber(string.match(entry, '^%d+')) - 600000))
    -- A large event stays in `events` alone.
    if #blob <= 4096 then
      redis.call('XADD', recent(event_name), 'MINID', '~', oldest, entry, 'b', blob)
    else
      redis.call('XADD', recent(event_name), 'MINID', '~', oldest, entry, 'r', '1')
    end
    if redis.call('XLEN', recent(event_name)) > 11000 then redis.call('XTRIM', recent(event_name), 'MAXLEN', '~', 10000) end
  end
  if tonumber(v[2] or 0) == 0 then return end
  local there = {}
  for bucket in string.gmatch(buckets, '%S+') do
    if redis.call('EXISTS', waits(bucket)) == 1 then there[#there + 1] = bucket end
  end
  if #there == 0 then return end
  local bound = redis.call('HGET', meta, 'tickets')
  local post_of = entry .. ' ' .. bound .. ' ' .. table.concat(there, ' ') .. '\n' .. blob
  redis.call('RPUSH', post(event_name), post_of)
  redis.call('ZADD', posts, 'NX', now, event_name)
  posted, posted_bytes = posted + 1, posted_bytes + #post_of
end
if heard_items > 0 then
  local behind = redis.call('HMGET', meta, 'posts', 'post_bytes')
  if tonumber(behind[1] or 0) >= 1000 or tonumber(behind[2] or 0) >= 67108864 then
    return redis.error_reply('DELIVERIES_BEHIND ' .. behind[1] .. ' entries, ' .. behind[2] .. ' bytes')
  end
end
for i = 1, ITEMS do
  local kind, entry, id, fn, due_at_ms, detail = item(i)
  if kind == 'run' then
    -- A run is there as long as its input is.
    if blobs[entry] and string.byte(detail) == 64 then
      local outcome, at = admit_run({id = id, fn = fn, given = blobs[entry], created = string.match(entry, '^%d+'), place = entry, due_at_ms = due_at_ms}, detail, touched, 'event', later)
      if outcome == 'created' then created = created + 1 end
      if at then earliest = math.min(earliest or at, at) end
    elseif pausing and blobs[entry] and is_paused(fn) == 'skip' then
      note_skip(fn, entry, 'paused', '-')
    elseif blobs[entry] and redis.call('SET', input(id), blobs[entry], 'NX') then
      local created_at = string.match(entry, '^%d+')
      created = created + 1
      if due_at_ms > now then
        redis.call('HSET', run(id), 's', 'w', 'f', fn, 'c', created_at, 'd', due_at_ms, 'y', due_at_ms, 't', 1)
        redis.call('ZADD', waiting(fn), created_at, id)
        redis.call('ZADD', timers, due_at_ms, 'd ' .. id)
        earliest = math.min(earliest or due_at_ms, due_at_ms)
      else
        redis.call('HSET', run(id), 's', 'q', 'f', fn, 'c', created_at)
        local runs = queued[fn]
        if not runs then
          runs = {}
          queued[fn] = runs
          touched[fn] = true
        end
        runs[#runs + 1] = created_at
        runs[#runs + 1] = id
      end
      if detail ~= '' then
        local begin_by = dress_run(id, detail, entry, math.max(due_at_ms, tonumber(created_at)))
        if begin_by then earliest = math.min(earliest or begin_by, begin_by) end
      end
    end
  elseif kind == 'event' then
    if blobs[entry] then blobs[entry] = detail end
  elseif kind == 'heard' then
    if blobs[entry] then post_entry(entry, fn, detail) end
  elseif kind == 'aside' then
    redis.call('RPUSH', aside, now .. ' ' .. entry .. ' ' .. detail)
    redis.call('LTRIM', aside, -1000, -1)
  else
    note_fault(fn, detail)
  end
end
if next(later) then queue_later(later, touched) end
for fn, runs in pairs(queued) do redis.call('ZADD', ready(fn), unpack(runs)) end
if posted > 0 then
  redis.call('HINCRBY', meta, 'posts', posted)
  redis.call('HINCRBY', meta, 'post_bytes', posted_bytes)
end
redis.call('HSET', meta, 'routed_upto', upto)
local routed = redis.call('HINCRBY', meta, 'routed', entries)
offer(touched)
if earliest then ring_timers(earliest) end
local backlog = tonumber(known[3]) - routed
if trim_above > 0 and redis.call('XLEN', events) - backlog > trim_above + 1000 then
  -- Entries beyond the cursor are the newest `backlog`, so this never reaches them.
  redis.call('XTRIM', events, 'MAXLEN', '~', trim_above + backlog)
end
return {created, backlog > 0 and 1 or 0, posted}
