-- await_events: begin to wait for events, if the holder has looked at all that are there already; if not, bring it those.
-- transition: RUNNING -> RUNNING
-- keys: meta, events, names, idle, heard(event), recent(event), waits(bucket), echoes, run(id), steps(id), history(id), news(id), timers, timer_bell, leases, lease(lease)
-- include: alive, holds, newer, tell_memo, remember, ring_timers, end_alone, wait_of, later, place_of, file_wait, hear
-- args: lease_id:str, limit:int, budget_bytes:int
-- items: id:str, epoch:int, seen:int, key:str, blob:bytes, due_at_ms:int, note:bytes, event_name:str, behind:str, looked:str, path:str, bucket:str, anyhow:str, tail:bytes
-- returns: server time in ms, then per item: last number, newer results flat (key, memo), when the wait is there; or -1, entries as XRANGE has them,
--   and the entry from which on the name was heard, when they must be looked at first; or STALE; told_apart at the end
-- errors: LEASE_LOST when the lease has been closed or rescued
-- behind: the entry that the run's last wait of this name had, or the one that started the run; '' for a run that no event started. looked: up to where the holder
-- has looked by now, '' at first. What it found among the entries it records by record_steps (kind m); if nothing, it asks again.
-- Nothing is written before everything was looked at, but that the name is heard: so there is no wait that is only half there.
-- Sent twice: the same wait. A result that is already there stays; its memo comes back among the newer ones.
if not alive(lease_id) then return redis.error_reply('LEASE_LOST ' .. lease_id) end
local cursor = redis.call('HGET', meta, 'routed_upto')
-- By the entries' own clock, which never steps back.
local horizon = string.format('%d', math.max(0, tonumber(string.match(cursor, '^%d+')) - 600000)) .. '-0'

local function page_of(stream, from, upto, fetch)
  local found, bytes, at = {}, 0, '(' .. from
  while #found < limit and bytes < budget_bytes do
    local some = redis.call('XRANGE', stream, at, upto, 'COUNT', math.min(20, limit - #found))
    if #some == 0 then break end
    for _, entry in ipairs(some) do
      if fetch and entry[2][1] == 'r' then
        -- Gone from the stream by now: it is passed over, with an empty blob.
        local whole = redis.call('XRANGE', events, entry[1], entry[1])
        entry[2] = {'b', whole[1] and whole[1][2][2] or ''}
      end
      found[#found + 1] = entry
      bytes = bytes + #entry[2][2]
    end
    at = '(' .. some[#some][1]
  end
  return found
end

local replies, earliest = {}, nil
for i = 1, ITEMS do
  local id, epoch, seen, key, blob, due_at_ms, note, event_name, behind, looked, path, bucket, anyhow, tail = item(i)
  local v = redis.call('HMGET', run(id), 's', 'l', 'n', 'q', 'o', 'x', 'm', 't', 'c', 'p')
  -- A holder that has seen more than there is: Redis came back older than it was.
  if tonumber(v[4] or 0) < seen or not holds(v, lease_id, epoch) then
    replies[i] = 'STALE'
  else
    local memo = redis.call('HGET', steps(id), key)
    if memo then
      local found = newer(id, v[5], seen)
      if not wait_of(memo) then
        tell_memo(found, key, memo)
      end
      replies[i] = {tonumber(v[4] or 0), found}
    else
      hear(event_name, path)
      redis.call('HSETNX', heard(event_name), 'since', cursor)
      local since = redis.call('HGET', heard(event_name), 'since')
      local place = behind ~= '' and behind or place_of(v[9], v[10])
      local from = place
      if later(horizon, from) then from = horizon end
      if looked ~= '' and later(looked, from) then from = looked end
      local entries = {}
      if later(since, from) then entries = page_of(events, from, since, false) end
      if #entries == 0 then entries = page_of(recent(event_name), from, '+', true) end
      if #entries > 0 then
        if redis.call('HEXISTS', heard(event_name), 'open') == 0 then redis.call('ZADD', idle, 'NX', now, event_name) end
        replies[i] = {-1, entries, since}
      else
        local found = newer(id, v[5], seen)
        local filed = file_wait('v', id, key, place, due_at_ms, event_name, path, bucket, anyhow, tail)
        redis.call('HSET', steps(id), key, '0 ' .. now_text .. ' v' .. #filed .. ' ' .. filed .. blob)
        redis.call('ZADD', timers, due_at_ms, 'v ' .. id .. ' ' .. key)
        redis.call('HSET', run(id), 't', tonumber(v[8] or 0) + 1, 'm', tonumber(v[7] or 0) + #blob)
        remember(id, 'v', key, note)
        earliest = math.min(earliest or due_at_ms, due_at_ms)
        if v[6] then
          redis.call('HDEL', run(id), 'x')
          end_alone(lease_id, v[6])
        end
        replies[i] = {tonumber(v[4] or 0), found}
      end
    end
  end
end
if earliest then ring_timers(earliest) end
return {now, replies, told_apart}
