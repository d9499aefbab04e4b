-- fire_waits: end waits of runs in hand that are due, by their holder.
-- transition: RUNNING -> RUNNING
-- keys: meta, events, leases, run(id), steps(id), history(id), news(id), timers, idle, heard(event), waits(bucket), post(event), signals
-- include: alive, holds, newer, tell_memo, remember, wait_of, unfile, not_yet
-- args: lease_id:str
-- items: id:str, epoch:int, seen:int, key:str
-- returns: server time in ms, then per item: number, its time in ms, newer results flat; or {0, ms still to wait, newer}; or STALE; told_apart at the end
-- errors: LEASE_LOST when the lease has been closed or rescued
-- Whoever ends it first (holder, scheduler, event, signal, child) writes the memo; the others are answered with its number, and
-- have it among the newer ones unless they have seen it. What waits for something from outside becomes `z`: its time is over,
-- of a wait for an event not before what was accepted in its time is delivered (not_yet).
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
    local number, at = string.match(memo, '^(%d+) (%d+)')
    local found = newer(id, v[5], seen)
    local pending, filed, blob = wait_of(memo)
    if not pending then
      replies[i] = {tonumber(number), tonumber(at), found}
    else
      local timer = pending .. ' ' .. id .. ' ' .. key
      local due = tonumber(redis.call('ZSCORE', timers, timer) or now)
      local left = due > now and due - now or pending == 'v' and not_yet(filed)
      if left then
        replies[i] = {0, left, found}
      else
        local next_number = tonumber(v[4] or 0) + 1
        local to = pending == 'w' and 's' or pending == 'r' and 'r' or 'z'
        redis.call('HSET', steps(id), key, next_number .. ' ' .. now .. ' ' .. to .. ' ' .. blob)
        redis.call('HSET', run(id), 'q', next_number)
        if redis.call('ZREM', timers, timer) == 1 then redis.call('HINCRBY', run(id), 't', -1) end
        unfile(id, key, pending, filed)
        remember(id, to == 'r' and 'due' or to, key, '')
        replies[i] = {next_number, now, found}
      end
    end
  end
end
return {now, replies, told_apart}
