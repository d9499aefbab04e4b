-- record_waits: begin sleeps and retry delays while the run stays in hand.
-- transition: RUNNING -> RUNNING
-- keys: meta, leases, lease(lease), run(id), steps(id), history(id), news(id), timers, timer_bell
-- include: alive, holds, newer, tell_memo, remember, begin_wait, ring_timers, end_alone
-- args: lease_id:str
-- items: id:str, epoch:int, seen:int, key:str, kind:str, blob:bytes, due_at_ms:int, note:bytes
-- returns: server time in ms, then per item: last number, newer results flat (key, memo); or STALE; told_apart at the end
-- errors: LEASE_LOST when the lease has been closed or rescued
-- A result that is already there stays; its memo comes back among the newer ones. Sent twice: the same wait, the same timer.
if not alive(lease_id) then return redis.error_reply('LEASE_LOST ' .. lease_id) end
local replies, earliest = {}, nil
for i = 1, ITEMS do
  local id, epoch, seen, key, kind, blob, due_at_ms, note = item(i)
  local v = redis.call('HMGET', run(id), 's', 'l', 'n', 'q', 'o', 'x', 'm', 't')
  -- A holder that has seen more than there is: Redis came back older than it was.
  if tonumber(v[4] or 0) < seen or not holds(v, lease_id, epoch) then
    replies[i] = 'STALE'
  else
    local found = newer(id, v[5], seen)
    local memo = redis.call('HGET', steps(id), key)
    local known_kind = memo and string.match(memo, '^%d+ %d+ (%a)')
    local timer = known_kind == kind and redis.call('ZSCORE', timers, kind .. ' ' .. id .. ' ' .. key)
    local pending = known_kind == kind and (kind == 'r' or kind == 'w')
    if not memo or pending and (timer and tonumber(timer) < due_at_ms or not timer and string.match(memo, '^%d+ %d+ %a (.*)$') ~= blob) then
      local begun = begin_wait(id, key, kind, blob, due_at_ms)
      if begun == 1 then remember(id, kind, key, note) end
      redis.call('HSET', run(id), 't', tonumber(v[8] or 0) + begun, 'm', tonumber(v[7] or 0) + #blob - (memo and #string.match(memo, '^%d+ %d+ %a (.*)$') or 0))
      earliest = math.min(earliest or due_at_ms, due_at_ms)
      if v[6] then
        redis.call('HDEL', run(id), 'x')
        end_alone(lease_id, v[6])
      end
    elseif not timer then
      tell_memo(found, key, memo)
    end
    replies[i] = {tonumber(v[4] or 0), found}
  end
end
if earliest then ring_timers(earliest) end
return {now, replies, told_apart}
