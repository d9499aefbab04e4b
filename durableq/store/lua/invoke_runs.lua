-- invoke_runs: create child runs, and begin to wait for what they come to.
-- transition: ABSENT -> QUEUED, RUNNING -> RUNNING
-- admission: refused with QUEUE_FULL while the memory gate is closed
-- keys: meta, events, event_bell, names, idle, heard(event), waits(bucket), functions(app), echoes, run(id), input(id), steps(id), history(id), news(id), listens(id), ready(function), work(app), timers, timer_bell, bell(app), leases, lease(lease), waiting(function), flow(app), paused(app), once(key), rate(key), lock(key), skips(function), skipped(app), lane(lane), lanes(function), gated(function), parked(gate), blocked(function), debounce(key), batch(key), batching(key), holding(function)
-- rarely: waits_for_itself, note_skip
-- include: alive, holds, newer, tell_memo, ring_timers, wait_of, begin_answer, refuse_wait, new_run, offer, echo, app_of
-- args: lease_id:str
-- items: id:str, epoch:int, seen:int, key:str, blob:bytes, due_at_ms:int, note:bytes, child:str, fn:str, given:bytes, extras:bytes
-- returns: server time in ms, then per item: last number, newer results flat (key, memo); or STALE; told_apart at the end
-- errors: LEASE_LOST when the lease has been closed or rescued, QUEUE_FULL when Redis is nearly out of memory: nothing of the call was done
-- Child and wait are one act. The child's id is a function of (parent, step key, function), so there is never a second one. Sent twice: the same wait.
-- What flow control skips has such a result, too: RunSkipped. A function that is not registered: the wait has a result at once, the failure FunctionNotFound, among the newer ones. What keeps a run silent (s, i) its child has too.
if not alive(lease_id) then return redis.error_reply('LEASE_LOST ' .. lease_id) end
local replies, earliest, touched = {}, nil, {}
for i = 1, ITEMS do
  local id, epoch, seen, key, blob, due_at_ms, note, child, fn, given, extras = item(i)
  local v = redis.call('HMGET', run(id), 's', 'l', 'n', 'q', 'o', 'x', 'm', 't', 'k')
  -- A holder that has seen more than there is: Redis came back older than it was.
  if tonumber(v[4] or 0) < seen or not holds(v, lease_id, epoch) then
    replies[i] = 'STALE'
  else
    local last, found = tonumber(v[4] or 0), newer(id, v[5], seen)
    local memo = redis.call('HGET', steps(id), key)
    if not memo then
      local outcome
      if redis.call('HEXISTS', functions(app_of(fn)), string.match(fn, '/(.*)$')) == 0 then
        last, memo = refuse_wait(id, v, key, note, 'TFunctionNotFound\nno function ' .. fn .. ' is registered in this namespace')
      else
        local pool, holder
        if string.byte(extras) == 64 then pool, holder = waits_for_itself(id, fn, extras) end
        if pool then
          note_skip(fn, child, 'concurrency', pool, holder)
          outcome = 'concurrency ' .. pool .. ' ' .. holder
        else
          outcome = new_run(child, fn, given, extras, touched)
        end
      end
      if outcome == 'there' then
        -- Nothing on this shard leads here: it is somebody else's run.
        last, memo = refuse_wait(id, v, key, note, 'TRunExists\nrun ' .. child .. ' is there already')
      elseif outcome and outcome ~= 'created' then
        last, memo = refuse_wait(id, v, key, note, 'TRunSkipped\n' .. fn .. ' ' .. outcome)
      elseif outcome then
        local silent = string.gsub(v[9] or '', '[^si]', '')
        redis.call('HSET', run(child), 'k', (redis.call('HGET', run(child), 'k') or '') .. 'p' .. silent, 'u', id .. ' ' .. key)
        begin_answer(lease_id, id, v, key, 'i', child, blob, due_at_ms, note)
        if silent == '' then echo(child, 'i', nil) end
        earliest = math.min(earliest or due_at_ms, due_at_ms)
      end
    end
    if memo and not wait_of(memo) then
      tell_memo(found, key, memo)
    end
    replies[i] = {last, found}
  end
end
offer(touched)
if earliest then ring_timers(earliest) end
return {now, replies, told_apart}
