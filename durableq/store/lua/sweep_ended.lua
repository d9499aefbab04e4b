-- sweep_ended: take away at most `limit` of the things that hang on final runs, awaited children, which are cancelled, among them.
-- transition: QUEUED -> CANCELLED, RUNNING -> CANCELLED, WAITING -> CANCELLED, CANCELLED -> ABSENT
-- keys: meta, events, event_bell, idle, heard(event), waits(bucket), signals, run(id), input(id), steps(id), history(id), news(id), output(id), listens(id), watchers(id), answer(id), answers(client), ready(function), work(app), suspects(app), waiting(function), done(list), kept, void, timers, bell(app), lease(lease), held(lease), inbox(lease), lane(lane), lanes(function), gated(function), slots(pool), parked(gate), blocked(function), sharers(pool), lock(key), leaving(lease), timer_bell
-- include: look_at, wait_of, void_wait, take_back, list_ended, offer
-- args: limit:int, page:int, keep_failed:int
-- returns: things removed, 1 if there are more
-- Until then they are without effect: whoever meets one looks at the run first. A wait's timer is the mark that it is not swept yet, so whoever
-- dies between two calls, or sweeps beside another, leaves nothing and does nothing twice. Children of a run that completed go on.
-- About twice `page` memos are looked at in a call. Of a run that has more than that, `page` at a time: `sweeping` in meta says of which run, and how far.
local removed, looked_at, kept_bytes, ended, touched = 0, 0, 0, {}, {}
local under_way, upto = string.match(redis.call('HGET', meta, 'sweeping') or '', '^(%S+) (%d+)$')
-- The memos to look at, and where to go on ('0': those are all).
local function memos_of(id, v)
  if redis.call('HLEN', steps(id)) > 2 * page then
    local reply = redis.call('HSCAN', steps(id), id == under_way and upto or 0, 'COUNT', page)
    return reply[2], reply[1]
  end
  if tonumber(v.m or 0) <= 1000000 then return redis.call('HGETALL', steps(id)), '0' end
  -- Results are not needed, and may be large: what is longer than any wait's memo is left alone.
  local found = {}
  for _, key in ipairs(redis.call('HKEYS', steps(id))) do
    if redis.call('HSTRLEN', steps(id), key) <= 16384 then
      found[#found + 1] = key
      found[#found + 1] = redis.call('HGET', steps(id), key)
    end
  end
  return found, '0'
end
local function swept(id)
  local v = look_at(id)
  removed = removed + redis.call('ZREM', timers, 'd ' .. id)
  local memos, next_at = memos_of(id, v)
  looked_at = looked_at + #memos / 2
  for i = 1, #memos, 2 do
    local key = memos[i]
    local kind, filed = wait_of(memos[i + 1])
    if kind and removed >= limit then return false end
    if kind and redis.call('ZREM', timers, kind .. ' ' .. id .. ' ' .. key) == 1 then
      removed = removed + 1
      kept_bytes = kept_bytes + void_wait(id, v, key, kind, filed, ended, touched)
    end
  end
  if next_at ~= '0' then
    redis.call('HSET', meta, 'sweeping', id .. ' ' .. next_at)
    return false
  end
  if id == under_way then redis.call('HDEL', meta, 'sweeping') end
  if v.k and string.find(v.k, 'l', 1, true) then
    for _, place in ipairs(redis.call('LRANGE', listens(id), 0, -1)) do
      take_back(place)
      removed = removed + 1
    end
    redis.call('UNLINK', listens(id))
  end
  return true
end
local function sweep(id)
  if removed < limit and looked_at < page and swept(id) then redis.call('SREM', void, id) end
end
if under_way then
  if redis.call('SISMEMBER', void, under_way) == 1 then sweep(under_way) else redis.call('HDEL', meta, 'sweeping') end
else
  -- A child that is cancelled here is swept here too: a chain of invokes, which may still be growing, falls as quickly as it can.
  local left = limit
  while left > 0 and removed < limit and looked_at < page and redis.call('HEXISTS', meta, 'sweeping') == 0 do
    local ids = redis.call('SRANDMEMBER', void, left)
    if #ids == 0 then break end
    left = left - #ids
    for _, id in ipairs(ids) do
      sweep(id)
      -- One at a time: there is one place to note how far it is.
      if redis.call('HEXISTS', meta, 'sweeping') == 1 then break end
    end
  end
end
offer(touched)
kept_bytes = kept_bytes + list_ended(ended, keep_failed, keep_failed)
if kept_bytes ~= 0 then redis.call('HINCRBY', meta, 'kept_bytes', kept_bytes) end
return {removed, redis.call('EXISTS', void)}
