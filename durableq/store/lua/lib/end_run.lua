-- end_run(id, fn, state, out, v, ended, touched): make a run final: state, output. The caller has checked the guard.
-- keys: meta, run(id), output(id), steps(id), history(id), news(id), void, inbox(lease), waiting(function), ready(function), suspects(app), timers, heard(event), idle, waits(bucket), signals, watchers(id), answer(id), answers(client), events, event_bell, lane(lane), lanes(function), gated(function), slots(pool), parked(gate), blocked(function), sharers(pool), lock(key)
-- include: echo
-- rarely: answer_parent, tell_watchers, end_flow
-- v: {bytes so far, pending timers, outside flag, k, j}. What slots it has the caller gives back (end_hold, let_go). Returns the change of the bytes kept.
-- `ended` collects what list_ended() must be called with, `touched` what offer() must be, once, for all runs that a script ends.
-- What hangs on a final run (waits, listeners, awaited children) is void from here on; a run that has any is listed in `void` and swept within seconds.
local SORTS = {c = 'f', f = 'ef', x = 'xf'}
local function end_run(id, fn, state, out, v, ended, touched)
  local bytes, flags = tonumber(v[1] or 0) + #out, v[4]
  -- An empty lease, since a field that is overwritten costs nothing, and one that is deleted a command.
  redis.call('HSET', run(id), 's', state, 'e', now_text, 'l', '', 'm', string.format('%d', bytes))
  if out ~= '' then redis.call('SET', output(id), out) end
  if v[3] then
    redis.call('HDEL', run(id), 'o')
    redis.call('UNLINK', news(id))
  end
  if tonumber(v[2] or 0) > 0 or flags and string.find(flags, 'l', 1, true) then redis.call('SADD', void, id) end
  if v[5] and string.find(v[5], ' z=', 1, true) then end_flow(id, v[5]) end
  if flags then
    if string.find(flags, 't', 1, true) then redis.call('ZREM', timers, 'b ' .. id, 'f ' .. id) end
    if string.find(flags, 'p', 1, true) then answer_parent(id, state, out, touched) end
    if string.find(flags, 'w', 1, true) then tell_watchers(id, state, out) end
  end
  echo(id, SORTS[state], flags)
  local list = fn .. ':' .. state
  local entries = ended[list]
  if not entries then
    entries = {}
    ended[list] = entries
  end
  entries[#entries + 1] = now_text
  entries[#entries + 1] = id
  return bytes
end
