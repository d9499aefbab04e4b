-- prune_runs: delete finished runs that are too old, or beyond the bytes that history may take, at most `limit` a call.
-- transition: COMPLETED -> ABSENT, FAILED -> ABSENT, CANCELLED -> ABSENT
-- keys: meta, kept, done(list), run(id), input(id), steps(id), history(id), output(id), events, void
-- include: delete_runs
-- args: limit:int, completed_ms:int, failed_ms:int, bytes_max:int, events_ms:int
-- returns: server time in ms, runs deleted, bytes of history left, 1 if there is more to delete
-- Beyond the bytes the oldest of all functions goes first. Events older than events_ms go too, never past the cursor.
local deleted, freed = 0, 0
local total = tonumber(redis.call('HGET', meta, 'kept_bytes') or 0)
local function drop(list, count)
  local oldest = redis.call('ZPOPMIN', done(list), count)
  freed = freed + delete_runs(list, oldest)
  deleted = deleted + #oldest / 2
  if redis.call('EXISTS', done(list)) == 0 then redis.call('SREM', kept, list) end
end
local lists = redis.call('SMEMBERS', kept)
for _, list in ipairs(lists) do
  local cutoff = now - (string.sub(list, -2) == ':c' and completed_ms or failed_ms)
  local old = redis.call('ZCOUNT', done(list), '-inf', cutoff)
  local count = math.min(old, limit - deleted)
  if count > 0 then drop(list, count) end
end
local heads
while total - freed > bytes_max and deleted < limit do
  if not heads then
    heads = {}
    for _, list in ipairs(lists) do heads[list] = tonumber(redis.call('ZRANGE', done(list), 0, 0, 'WITHSCORES')[2]) end
  end
  local oldest_list
  for list, at in pairs(heads) do
    if not oldest_list or at < heads[oldest_list] then oldest_list = list end
  end
  if not oldest_list then break end
  -- Up to ten of one list before looking at the others again, since there may be a thousand of them.
  for _ = 1, math.min(10, limit - deleted) do
    if total - freed > bytes_max then drop(oldest_list, 1) end
  end
  heads[oldest_list] = tonumber(redis.call('ZRANGE', done(oldest_list), 0, 0, 'WITHSCORES')[2])
end
if freed > 0 then total = redis.call('HINCRBY', meta, 'kept_bytes', -freed) end
local cursor = redis.call('HGET', meta, 'routed_upto') or '0-0'
local cursor_ms = tonumber(string.match(cursor, '^%d+'))
local horizon = math.min(now - events_ms, cursor_ms)
if horizon > 0 then redis.call('XTRIM', events, 'MINID', '~', string.format('%d', horizon)) end
return {now, deleted, total, deleted >= limit and 1 or 0}
