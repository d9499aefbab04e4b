-- end_run(id, fn, state, out, v, ended): make a run final: state, output. The caller has checked the guard.
-- keys: run(id), input(id), output(id), news(id), void
-- v: {memo bytes, pending timers, outside flag}. Returns the change of the bytes kept.
-- `ended` collects what list_ended() must be called with, once, for all runs that a script ends.
-- Timers of a final run are void from here on; who has any is listed in `void` and swept within seconds.
local function end_run(id, fn, state, out, v, ended)
  local bytes = redis.call('STRLEN', input(id)) + tonumber(v[1] or 0) + #out + 400
  redis.call('HSET', run(id), 's', state, 'e', now_text, 'z', bytes)
  redis.call('HDEL', run(id), 'l', 'o')
  if out ~= '' then redis.call('SET', output(id), out) end
  if v[3] then redis.call('UNLINK', news(id)) end
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
