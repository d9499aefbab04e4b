-- refuse_wait(id, v, key, note, failure): a wait cannot begin, and its result says why: kind e, with the run's next number. Returns number and memo.
-- keys: run(id), steps(id)
-- v: {s, l, n, q, o, x, m, t}. It is decided once, so every replay meets the same.
local function refuse_wait(id, v, key, note, failure)
  local number = tonumber(v[4] or 0) + 1
  local memo = number .. ' ' .. now_text .. ' e' .. #note .. ' ' .. note .. failure
  redis.call('HSET', steps(id), key, memo)
  redis.call('HSET', run(id), 'q', number, 'm', tonumber(v[7] or 0) + #memo)
  return number, memo
end
