-- hold_run(id, gates, begun): note in a run what it holds from here on, if it has begun before, and what it needs at its next claim. The caller has taken the slots.
-- keys: run(id)
-- A later turn adds to what is kept since the first one.
local function hold_run(id, gates, begun)
  if begun and gates.held ~= '' and redis.call('HSETNX', run(id), 'h', gates.held) == 0 then
    redis.call('HSET', run(id), 'h', redis.call('HGET', run(id), 'h') .. ' ' .. gates.held)
  end
  if gates.begins then
    local place = string.match(redis.call('HGET', run(id), 'j'), '^%S+ %S+')
    redis.call('HSET', run(id), 'j', gates.later == '' and place or place .. ' ' .. gates.later)
  end
end
