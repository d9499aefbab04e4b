-- room_of(gate, numbers, known): how many runs more may pass a gate now; of a throttle also by when each start moves it on, from where, and when it opens.
-- keys: slots(pool), tat(key)
-- include: limit_of
-- No number: the limit was removed. One with a key that was changed since obeys what its kind has now (the ordinal's first digit). A throttle counts starts (GCRA): T = period / limit; `tat` is when the next start would be due if all were evenly spaced.
-- known: what was read before in this call, and has been kept up to date since; nil: nothing is.
-- One that is further ahead than a whole burst comes from other numbers, or from a clock that was ahead.
local function room_of(gate, numbers, known)
  local kind, pool = gate[1], gate[3]
  if kind == 't' then
    local limit, period_ms, burst = string.match(numbers.t or '', '^(%d+)/(%d+)/(%d+)$')
    if not limit then return 1000000 end
    local each = period_ms / limit
    local most = now + (burst - 1) * each
    local from = known and known.tat[pool] or tonumber(redis.call('GET', tat(pool)) or 0)
    if from > most + each then
      -- Kept, or it would go on being a burst ahead.
      from = most + each
      redis.call('SET', tat(pool), string.format('%.3f', from), 'PX', string.format('%d', from - now + 60000))
    end
    -- A wake-up that was a little late costs the next one nothing; a throttle that was idle begins anew.
    if from < now - (each < 20 and 20 or each / 20) then from = now end
    return math.max(0, math.floor((most - from) / each + 1.000001)), each, from, from - (burst - 1) * each
  end
  local limit = limit_of(gate, numbers)
  if not limit then return 1000000 end
  local count = known and known.slots[pool]
  if not count then
    count = redis.call('SCARD', slots(pool))
    if known then known.slots[pool] = count end
  end
  return limit - count
end
