-- send_signals: give signals to the runs that wait for them.
-- transition: WAITING -> QUEUED, WAITING -> WAITING, QUEUED -> QUEUED, RUNNING -> RUNNING
-- keys: meta, seen(event), idle, heard(event), waits(bucket), signals, run(id), steps(id), history(id), news(id), ready(function), work(app), suspects(app), waiting(function), timers, bell(app), inbox(lease), lane(lane), lanes(function), gated(function), parked(gate), blocked(function)
-- include: look_at, wait_of, end_wait, offer
-- items: signal:str, token:str, remember_ms:int, blob:bytes
-- returns: per item the run that has it now, or '' when nobody waits for it
-- Sent twice: what was delivered is remembered under its token, and answered again. Of one that reached nobody nothing is remembered.
local replies, touched = {}, {}
for i = 1, ITEMS do
  local signal, token, remember_ms, data = item(i)
  replies[i] = redis.call('GET', seen(token)) or ''
  if replies[i] == '' then
    local id, key = string.match(redis.call('HGET', signals, signal) or '', '^(%S+) (%S+)$')
    local v = id and look_at(id)
    if v and v.living then
      local kind, filed, blob = wait_of(redis.call('HGET', steps(id), key))
      if kind == 'g' and filed == signal then
        end_wait(id, v, key, kind, filed, blob, 'd', data, touched, token)
        redis.call('SET', seen(token), id, 'PX', remember_ms)
        replies[i] = id
      end
    end
  end
end
offer(touched)
return replies
