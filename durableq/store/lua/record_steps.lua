-- record_steps: write what steps came to, first write wins.
-- transition: RUNNING -> RUNNING
-- keys: meta, leases, lease(lease), run(id), steps(id), news(id), timers, idle, heard(event), waits(bucket), signals
-- include: alive, holds, newer, tell_memo, end_alone
-- rarely: wait_of, unfile
-- args: lease_id:str
-- items: id:str, epoch:int, seen:int, key:str, result:bytes
-- returns: server time in ms, then per item: its number, if it was written now and nothing else is newer; or number, its time
--   in ms, newer results flat (key, memo); or STALE; told_apart at the end
-- errors: LEASE_LOST when the lease has been closed or rescued
-- Sent twice, or by a late attempt: the memo that is there answers. A step whose retry or wait was pending ends it, timer and filing and all.
-- A result is what follows a memo's number and time: kind, note and blob, packed by the caller (records.py), since each
-- argument and each part joined here costs more than it does there. The note is for screens; here it costs no write.
if not alive(lease_id) then return redis.error_reply('LEASE_LOST ' .. lease_id) end
local replies = {}
local format = string.format
for i = 1, ITEMS do
  local id, epoch, seen, key, result = item(i)
  local v = redis.call('HMGET', run(id), 's', 'l', 'n', 'q', 'm', 'x', 'o')
  local last = tonumber(v[4] or 0)
  -- A holder that has seen more than there is: Redis came back older than it was.
  if last < seen or not holds(v, lease_id, epoch) then
    replies[i] = 'STALE'
  else
    local number, at = last + 1, now
    local number_text = format('%d', number)
    local memo = number_text .. ' ' .. now_text .. ' ' .. result
    local fresh = redis.call('HSETNX', steps(id), key, memo) == 1
    if not fresh then
      local known = redis.call('HGET', steps(id), key)
      local known_number, known_at, known_kind = string.match(known, '^(%d+) (%d+) (%a)')
      local pending, filed = wait_of(known)
      if pending or known_kind == 'r' then
        fresh = true
        if pending then unfile(id, key, pending, filed) end
        redis.call('HSET', steps(id), key, memo)
        if redis.call('ZREM', timers, known_kind .. ' ' .. id .. ' ' .. key) == 1 then
          redis.call('HINCRBY', run(id), 't', -1)
        end
      else
        number, at = tonumber(known_number), tonumber(known_at)
      end
    end
    if fresh then
      redis.call('HSET', run(id), 'q', number_text, 'm', format('%d', tonumber(v[5] or 0) + #memo))
      if v[6] then
        redis.call('HDEL', run(id), 'x')
        end_alone(lease_id, v[6])
      end
    end
    if fresh and not v[7] then
      replies[i] = number
    else
      replies[i] = {number, at, newer(id, v[7], seen)}
    end
  end
end
return {now, replies, told_apart}
