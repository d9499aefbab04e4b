-- echo(id, sorts, flags): write the system events of these sorts about a run, as far as anybody listens and the run is not silent.
-- keys: meta, events, event_bell
-- What is written is a reference, `S<sort> <run>`: Lua writes no payloads, so the router makes the event of it.
local listened, echo_rung
local function echo(id, sorts, flags)
  if not listened then listened = redis.call('HGET', meta, 'echo') or '' end
  if listened == '' or flags and string.find(flags, 's', 1, true) then return end
  for sort in string.gmatch(sorts, '%a') do
    if string.find(listened, sort, 1, true) then
      redis.call('XADD', events, '*', 'b', 'S' .. sort .. ' ' .. id)
      redis.call('HINCRBY', meta, 'sent', 1)
      if not echo_rung then
        echo_rung = true
        redis.call('XADD', event_bell, 'MAXLEN', 1, '*', 'e', '1')
      end
    end
  end
end
