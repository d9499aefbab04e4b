-- fire_waits: end waits of runs in hand that are due, by their holder.
-- transition: RUNNING -> RUNNING
-- keys: meta, leases, run(id), steps(id), history(id), news(id), timers
-- include: alive, holds, newer, remember
-- args: lease_id:str
-- items: id:str, epoch:int, seen:int, key:str
-- returns: server time in ms, then per item: number, its time in ms, newer results flat; or {0, ms still to wait, newer}; or STALE
-- errors: LEASE_LOST when the lease has been closed or rescued
-- Whoever fires first (holder or scheduler) writes the memo; the other is answered with it.
if not alive(lease_id) then return redis.error_reply('LEASE_LOST ' .. lease_id) end
local replies = {}
for i = 1, ITEMS do
  local id, epoch, seen, key = item(i)
  local v = redis.call('HMGET', run(id), 's', 'l', 'n', 'q', 'o')
  local memo = redis.call('HGET', steps(id), key)
  -- A holder that has seen more than there is: Redis came back older than it was.
  if tonumber(v[4] or 0) < seen or not holds(v, lease_id, epoch) or not memo then
    replies[i] = 'STALE'
  else
    local number, at, kind = string.match(memo, '^(%d+) (%d+) (%a)')
    local found = newer(id, v[5], seen)
    if kind ~= 'w' and (kind ~= 'r' or number ~= '0') then
      replies[i] = {tonumber(number), tonumber(at), found}
    else
      local timer = kind .. ' ' .. id .. ' ' .. key
      local due = tonumber(redis.call('ZSCORE', timers, timer) or now)
      if due > now then
        replies[i] = {0, due - now, found}
      else
        local next_number = tonumber(v[4] or 0) + 1
        redis.call('HSET', steps(id), key, next_number .. ' ' .. now .. ' ' .. (kind == 'w' and 's' or 'r') .. ' ' .. string.match(memo, '^%d+ %d+ %a (.*)$'))
        redis.call('HSET', run(id), 'q', next_number)
        if redis.call('ZREM', timers, timer) == 1 then redis.call('HINCRBY', run(id), 't', -1) end
        remember(id, kind == 'w' and 's' or 'due', key, '')
        replies[i] = {next_number, now, found}
      end
    end
  end
end
return {now, replies}
