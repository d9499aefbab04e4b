-- await_signals: begin to wait for signals by name, each of which one wait in the namespace may have.
-- transition: RUNNING -> RUNNING
-- keys: meta, signals, run(id), steps(id), history(id), news(id), timers, timer_bell, leases, lease(lease)
-- include: alive, holds, newer, tell_memo, ring_timers, wait_of, begin_answer, refuse_wait, look_at
-- args: lease_id:str
-- items: id:str, epoch:int, seen:int, key:str, blob:bytes, due_at_ms:int, note:bytes, signal:str, replace:int
-- returns: server time in ms, then per item: last number, newer results flat (key, memo); or STALE; told_apart at the end
-- errors: LEASE_LOST when the lease has been closed or rescued
-- A signal that another pending wait has: with replace 1 it is taken over, and that wait can only time out; with 0 this wait has a result at once,
-- the failure SignalTaken, which comes back among the newer ones. Sent twice: the same wait.
if not alive(lease_id) then return redis.error_reply('LEASE_LOST ' .. lease_id) end
local function taken_by(signal)
  local owner, owner_key = string.match(redis.call('HGET', signals, signal) or '', '^(%S+) (%S+)$')
  if not owner or not look_at(owner).living then return nil end
  local memo = redis.call('HGET', steps(owner), owner_key)
  local kind, filed, blob = wait_of(memo)
  if kind ~= 'g' or filed ~= signal then return nil end
  return owner, owner_key, string.match(memo, '^0 %d+ ') .. 'g0 ' .. blob
end
local replies, earliest = {}, nil
for i = 1, ITEMS do
  local id, epoch, seen, key, blob, due_at_ms, note, signal, replace = item(i)
  local v = redis.call('HMGET', run(id), 's', 'l', 'n', 'q', 'o', 'x', 'm', 't')
  -- A holder that has seen more than there is: Redis came back older than it was.
  if tonumber(v[4] or 0) < seen or not holds(v, lease_id, epoch) then
    replies[i] = 'STALE'
  else
    local last, found = tonumber(v[4] or 0), newer(id, v[5], seen)
    local memo = redis.call('HGET', steps(id), key)
    if not memo then
      local owner, owner_key, replaced = taken_by(signal)
      if owner and replace == 0 then
        last, memo = refuse_wait(id, v, key, note, 'TSignalTaken\nrun ' .. owner .. ' waits for signal ' .. signal .. ' already')
      else
        -- It waits on, for nothing.
        if owner then redis.call('HSET', steps(owner), owner_key, replaced) end
        redis.call('HSET', signals, signal, id .. ' ' .. key)
        begin_answer(lease_id, id, v, key, 'g', signal, blob, due_at_ms, note)
        earliest = math.min(earliest or due_at_ms, due_at_ms)
      end
    end
    if memo and not wait_of(memo) then
      tell_memo(found, key, memo)
    end
    replies[i] = {last, found}
  end
end
if earliest then ring_timers(earliest) end
return {now, replies, told_apart}
