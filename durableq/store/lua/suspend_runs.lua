-- suspend_runs: end the turn of runs in which nothing can go on, unless there is a result that the holder has not seen.
-- transition: RUNNING -> WAITING, RUNNING -> RUNNING, RUNNING -> QUEUED
-- keys: meta, leases, lease(lease), held(lease), run(id), steps(id), history(id), news(id), waiting(function), timers, timer_bell, ready(function), suspects(app), work(app), bell(app), lane(lane), lanes(function), gated(function), slots(pool), parked(gate), blocked(function), sharers(pool), leaving(lease)
-- include: alive, holds, newer, tell_memo, remember, begin_wait, ring_timers, end_alone, queue_run, offer
-- rarely: end_hold, let_go, leave_turn
-- args: lease_id:str
-- items: id:str, epoch:int, seen:int, key:str, kind:str, blob:bytes, due_at_ms:int, note:bytes, last:int
-- returns: server time in ms, then per item: '' (suspended), or the newer results flat (key, memo); or STALE; told_apart at the end
-- errors: LEASE_LOST when the lease has been closed or rescued
-- An item may bring one wait of its own (key '' brings none), recorded in the same act. A run that begins several comes as
-- several items, of which only the `last` one puts it to sleep (1; 2: code of it is still to be left, and keeps the slots of the turn until free_slots). A run with a wait that is already over is never put to
-- sleep: firing took a number, so `seen` is behind. Sent twice: the second finds the run out of hand and says STALE.
if not alive(lease_id) then return redis.error_reply('LEASE_LOST ' .. lease_id) end
local replies, earliest, touched, let_go_of, put_by, freed = {}, nil, {}, {}, {}, {}
for i = 1, ITEMS do
  local id, epoch, seen, key, kind, blob, due_at_ms, note, last = item(i)
  local v = redis.call('HMGET', run(id), 's', 'l', 'n', 'q', 'o', 'x', 'm', 'f', 'c', 't', 'j')
  local known = key ~= '' and redis.call('HGET', steps(id), key)
  local known_kind, known_blob = string.match(known or '', '^%d+ %d+ (%a) (.*)$')
  if not holds(v, lease_id, epoch) then
    replies[i] = 'STALE'
  elseif tonumber(v[4] or 0) > seen then
    replies[i] = newer(id, v[5], seen)
  elseif tonumber(v[4] or 0) < seen or last > 0 and key == '' and tonumber(v[10] or 0) == 0 or known and known_kind ~= kind then
    -- Redis came back without results or waits that the holder had recorded, or the holder would wait for what has a result.
    -- It and Redis do not agree on what happened, and nothing might wake the run: begin its turn anew.
    redis.call('HDEL', run(id), 'l', 'o')
    if v[5] then redis.call('UNLINK', news(id)) end
    let_go_of[#let_go_of + 1] = id
    if v[11] then end_hold(freed, id, v[8], v[11], false) end
    queue_run(id, v[8], v[9], v[6], touched, v[11])
    end_alone(lease_id, v[6])
    replies[i] = 'STALE'
  else
    local change = {}
    if key ~= '' then
      local pending = tonumber(v[10] or 0) + begin_wait(id, key, kind, blob, due_at_ms)
      change = {'t', pending, 'm', tonumber(v[7] or 0) + #blob - #(known_blob or '')}
      earliest = math.min(earliest or due_at_ms, due_at_ms)
      remember(id, kind, key, note)
    end
    if last > 0 then
      redis.call('HSET', run(id), 's', 'w', 'l', '', unpack(change))
      if v[5] or v[6] then redis.call('HDEL', run(id), 'x', 'o') end
      if v[5] then redis.call('UNLINK', news(id)) end
      let_go_of[#let_go_of + 1] = id
      if v[11] and last == 2 then
        leave_turn(lease_id, id, epoch, v[8], v[11])
      elseif v[11] then
        end_hold(freed, id, v[8], v[11], false)
      end
      local asleep = put_by[v[8]] or {}
      put_by[v[8]] = asleep
      asleep[#asleep + 1] = v[9]
      asleep[#asleep + 1] = id
      end_alone(lease_id, v[6])
    elseif key ~= '' then
      redis.call('HSET', run(id), unpack(change))
    end
    replies[i] = ''
  end
end
if #let_go_of > 0 then redis.call('SREM', held(lease_id), unpack(let_go_of)) end
for fn, asleep in pairs(put_by) do redis.call('ZADD', waiting(fn), unpack(asleep)) end
if next(freed) then let_go(freed, touched) end
offer(touched)
if earliest then ring_timers(earliest) end
return {now, replies, told_apart}
