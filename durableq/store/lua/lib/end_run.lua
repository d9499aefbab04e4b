-- end_run(id, fn, state, out, v, ended): make a run final: state, output. The caller has checked the guard.
-- keys: run(id), output(id), news(id), void
-- v: {bytes so far, pending timers, outside flag}. Returns the change of the bytes kept.
-- `ended` collects what list_ended() must be called with, once, for all runs that a script ends.
-- Timers of a final run are void from here on; who has any is listed in `void` and swept within seconds.
local function end_run(id, fn, state, out, v, ended)
  local bytes = tonumber(v[1] or 0) + #out
  -- An empty lease, since a field that is overwritten costs nothing, and one that is deleted a command.
  redis.call('HSET', run(id), 's', state, 'e', now_text, 'l', '', 'm', string.format('%d', bytes))
  if out ~= '' then redis.call('SET', output(id), out) end
  if v[3] then
    redis.call('HDEL', run(id), 'o')
    redis.call('UNLINK', news(id))
  end
  if tonumber(v[2] or 0) > 0 then redis.call('SADD', void, id) end
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
