-- begin_answer(lease_id, id, v, key, kind, filed, blob, due_at_ms, note): record a wait that somebody named will answer, and its timer.
-- keys: run(id), steps(id), history(id), timers, lease(lease)
-- include: remember, end_alone
-- v: {s, l, n, q, o, x, m, t}. The caller has the guard, and sees to it that the answerer finds the wait.
local function begin_answer(lease_id, id, v, key, kind, filed, blob, due_at_ms, note)
  redis.call('HSET', steps(id), key, '0 ' .. now_text .. ' ' .. kind .. #filed .. ' ' .. filed .. blob)
  redis.call('ZADD', timers, due_at_ms, kind .. ' ' .. id .. ' ' .. key)
  redis.call('HSET', run(id), 't', tonumber(v[8] or 0) + 1, 'm', tonumber(v[7] or 0) + #blob)
  remember(id, kind, key, note)
  if v[6] then
    redis.call('HDEL', run(id), 'x')
    end_alone(lease_id, v[6])
  end
end
