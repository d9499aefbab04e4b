-- start_runs: create runs that no event starts, for somebody outside who may want to hear what they come to.
-- transition: ABSENT -> QUEUED
-- admission: refused with QUEUE_FULL while the memory gate is closed
-- keys: meta, events, event_bell, names, idle, heard(event), waits(bucket), functions(app), echoes, run(id), input(id), listens(id), watchers(id), answers(client), ready(function), work(app), timers, timer_bell, bell(app), waiting(function), flow(app), paused(app), once(key), rate(key), lock(key), skips(function), skipped(app), lane(lane), lanes(function), gated(function), parked(gate), blocked(function), debounce(key), batch(key), batching(key), holding(function)
-- include: new_run, offer, echo, watch, keep_answers, app_of
-- args: client:str
-- items: id:str, fn:str, given:bytes, extras:bytes
-- returns: per item '' (it is there), NO_FUNCTION, or SKIPPED and why: reason, key, and the run it was left out for or -
-- errors: QUEUE_FULL when Redis is nearly out of memory: nothing of the call was done
-- The caller makes the ids, so sent twice creates nothing twice. client '' does not watch.
local replies, touched = {}, {}
if client ~= '' then keep_answers(client) end
for i = 1, ITEMS do
  local id, fn, given, extras = item(i)
  replies[i] = ''
  if redis.call('HEXISTS', functions(app_of(fn)), string.match(fn, '/(.*)$')) == 0 then
    replies[i] = 'NO_FUNCTION'
  else
    local outcome = new_run(id, fn, given, extras, touched)
    if outcome == 'created' then
      if client ~= '' then watch(id, client) end
      echo(id, 'i', nil)
    elseif outcome ~= 'there' then
      replies[i] = 'SKIPPED ' .. outcome
    end
  end
end
offer(touched)
return replies
