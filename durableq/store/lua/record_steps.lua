-- record_steps: write what steps came to, first write wins.
-- transition: RUNNING -> RUNNING
-- keys: meta, leases, lease(lease), run(id), steps(id), history(id), news(id), timers
-- include: alive, holds, newer, remember, end_alone
-- args: lease_id:str
-- items: id:str, epoch:int, seen:int, key:str, kind:str, blob:bytes, note:bytes
-- returns: server time in ms, then per item: number, its time in ms, newer results flat (key, memo); or STALE
-- errors: LEASE_LOST when the lease has been closed or rescued
-- Sent twice, or by a late attempt: the memo that is there answers. A step whose retry was pending ends it, timer and all.
if not alive(lease_id) then return redis.error_reply('LEASE_LOST ' .. lease_id) end
local replies = {}
for i = 1, ITEMS do
  local id, epoch, seen, key, kind, blob, note = item(i)
  local v = redis.call('HMGET', run(id), 's', 'l', 'n', 'q', 'm', 'x', 'o')
  -- A holder that has seen more than there is: Redis came back older than it was.
  if tonumber(v[4] or 0) < seen or not holds(v, lease_id, epoch) then
    replies[i] = 'STALE'
  else
    local number, at = tonumber(v[4] or 0) + 1, now
    local memo = number .. ' ' .. now_text .. ' ' .. kind .. ' ' .. blob
    local fresh = redis.call('HSETNX', steps(id), key, memo) == 1
    if not fresh then
      local known_number, known_at, known_kind = string.match(redis.call('HGET', steps(id), key), '^(%d+) (%d+) (%a)')
      if known_kind == 'r' or known_kind == 'w' then
        fresh = true
        redis.call('HSET', steps(id), key, memo)
        if redis.call('ZREM', timers, known_kind .. ' ' .. id .. ' ' .. key) == 1 then
          redis.call('HINCRBY', run(id), 't', -1)
        end
      else
        number, at = tonumber(known_number), tonumber(known_at)
      end
    end
    if fresh then
      redis.call('HSET', run(id), 'q', number, 'm', tonumber(v[5] or 0) + #memo)
      remember(id, kind, key, note)
      if v[6] then
        redis.call('HDEL', run(id), 'x')
        end_alone(lease_id, v[6])
      end
    end
    replies[i] = {number, at, newer(id, v[7], seen)}
  end
end
return {now, replies}
