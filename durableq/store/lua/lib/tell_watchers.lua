-- tell_watchers(id, state, out): tell processes outside what a run came to, and keep it for 5 min, however soon the run is deleted.
-- keys: watchers(id), answer(id), answers(client)
-- The streams are hints: a process asks again for what it still waits for.
local function tell_watchers(id, state, out)
  redis.call('SET', answer(id), state .. out, 'PX', 300000)
  for _, client in ipairs(redis.call('SMEMBERS', watchers(id))) do
    if redis.call('EXISTS', answers(client)) == 1 then
      redis.call('XADD', answers(client), 'MAXLEN', '~', 1000, '*', 'r', id, 's', state)
    end
  end
  redis.call('UNLINK', watchers(id))
end
