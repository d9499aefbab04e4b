-- rerun_runs: create runs that do again what other runs did: from the start, or with the results up to a number.
-- transition: ABSENT -> QUEUED
-- admission: refused with QUEUE_FULL while the memory gate is closed
-- keys: meta, events, event_bell, names, idle, heard(event), waits(bucket), functions(app), echoes, run(id), input(id), steps(id), listens(id), watchers(id), answers(client), ready(function), work(app), timers, timer_bell, bell(app), waiting(function), flow(app), paused(app), once(key), rate(key), lock(key), skips(function), skipped(app), lane(lane), lanes(function), gated(function), parked(gate), blocked(function), debounce(key), batch(key), batching(key), holding(function)
-- include: new_run, offer, echo, watch, keep_answers, app_of
-- args: client:str
-- items: id:str, source:str, given:bytes, last:int, extras:bytes
-- returns: per item '' (it is there), GONE (the source is not), NO_FUNCTION, or SKIPPED and why: reason, key, and the run it was left out for or -
-- errors: QUEUE_FULL when Redis is nearly out of memory: nothing of the call was done
-- given '' is the source's own. last: results with numbers up to this one are copied; they never change, whatever the source does meanwhile. Pending waits and retries are not.
-- The caller makes the ids, so sent twice creates nothing twice; the source names the newest run that does it again, so not even when that is pruned. A rerun has passed the first gates (decision 012): somebody asks for it.
local replies, touched = {}, {}
if client ~= '' then keep_answers(client) end
-- One by one: results may have 4 MB each, and must not be in Lua all at once.
local function copied(id, source, last)
  local bytes = 0
  for _, key in ipairs(redis.call('HKEYS', steps(source))) do
    local memo = redis.call('HGET', steps(source), key)
    local number, kind = string.match(memo, '^(%d+) %d+ (%a)')
    if tonumber(number) > 0 and tonumber(number) <= last and kind ~= 'r' then
      bytes = bytes + #memo
      redis.call('HSET', steps(id), key, memo)
    end
  end
  redis.call('HSET', run(id), 'q', last, 'm', string.format('%d', 400 + redis.call('STRLEN', input(id)) + bytes))
end
for i = 1, ITEMS do
  local id, source, given, last, extras = item(i)
  local v = redis.call('HMGET', run(source), 's', 'f', 'q', 'r')
  local own = v[1] and given == '' and redis.call('GET', input(source))
  replies[i] = ''
  if v[4] ~= id and redis.call('EXISTS', input(id)) == 0 then
    local fn = v[2]
    if not fn or given == '' and not own then
      replies[i] = 'GONE'
    elseif redis.call('HEXISTS', functions(app_of(fn)), string.match(fn, '/(.*)$')) == 0 then
      replies[i] = 'NO_FUNCTION'
    else
      local outcome = new_run(id, fn, own or given, extras, touched, 'held')
      if outcome == 'created' then
        redis.call('HSET', run(id), 'v', source)
        redis.call('HSET', run(source), 'r', id)
        if last > 0 and v[3] then copied(id, source, math.min(last, tonumber(v[3] or 0))) end
        if client ~= '' then watch(id, client) end
        echo(id, 'i', nil)
      elseif outcome ~= 'there' then
        replies[i] = 'SKIPPED ' .. outcome
      end
    end
  end
end
offer(touched)
return replies
