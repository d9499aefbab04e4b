-- end_run(id, fn, state, out, v): make a run final: state, output, index, retention. The caller has checked the guard.
-- keys: run(id), input(id), steps(id), history(id), output(id), news(id), done(list), kept, void, timers
-- include: delete_run
-- v: {memo bytes, pending timers, outside flag}. Returns the change of the bytes kept.
-- Timers of a final run are void from here on; who has any is listed in `void` and swept within seconds.
local function end_run(id, fn, state, out, v, keep)
  local bytes = redis.call('STRLEN', input(id)) + tonumber(v[1] or 0) + #out + 400
  redis.call('HSET', run(id), 's', state, 'e', now, 'z', bytes)
  redis.call('HDEL', run(id), 'l', 'o')
  if out ~= '' then redis.call('SET', output(id), out) end
  if v[3] then redis.call('UNLINK', news(id)) end
  if tonumber(v[2] or 0) > 0 then redis.call('SADD', void, id) end
  local list = fn .. ':' .. state
  redis.call('ZADD', done(list), now, id)
  local count = redis.call('ZCARD', done(list))
  if count == 1 then redis.call('SADD', kept, list) end
  if count > keep then
    -- One more than came in, so that a lowered limit is reached too; prune_runs does the rest.
    local oldest = redis.call('ZPOPMIN', done(list), math.min(count - keep, 2))
    for i = 1, #oldest, 2 do bytes = bytes - delete_run(oldest[i]) end
    if count - #oldest / 2 == 0 then redis.call('SREM', kept, list) end
  end
  return bytes
end
