-- send_events: accept events into the stream, each (name, id) once within its time.
-- keys: meta, events, seen(event), event_bell
-- admission: refused with QUEUE_FULL while the memory gate is closed
-- items: event:str, remember_ms:int, blob:bytes
-- returns: per event the id of its entry, or '' for one that was accepted before
-- errors: QUEUE_FULL when Redis is nearly out of memory: nothing of the call was stored
-- Sent twice (a lost reply): the second time every event is known, so nothing is added.
-- An event that comes alone, with nothing before it, travels with the ring: who answers needs not read it first.
local counts = redis.call('HMGET', meta, 'sent', 'routed', 'rung_at_ms', 'routed_upto', 'registry')
local replies, accepted, alone = {}, 0, nil
for i = 1, ITEMS do
  local event, remember_ms, blob = item(i)
  if redis.call('SET', seen(event), '1', 'NX', 'PX', remember_ms) then
    replies[i] = redis.call('XADD', events, '*', 'b', blob)
    accepted = accepted + 1
    alone = accepted == 1 and #blob <= 4096 and {replies[i], blob} or nil
  else
    replies[i] = ''
  end
end
if accepted > 0 then
  redis.call('HINCRBY', meta, 'sent', accepted)
  -- Who is already routing goes on until nothing is left, so one ring per backlog is enough; a ring that
  -- nobody answered within 200 ms is repeated, and wakes somebody else.
  if counts[1] == counts[2] or math.abs(now - tonumber(counts[3] or 0)) > 200 then
    redis.call('HSET', meta, 'rung_at_ms', now)
    if alone and counts[1] == counts[2] then
      redis.call('XADD', event_bell, 'MAXLEN', 1, '*', 'e', alone[1], 'a', counts[4], 'r', counts[5], 'b', alone[2])
    else
      redis.call('XADD', event_bell, 'MAXLEN', 1, '*', 'e', '1')
    end
  end
end
return replies
