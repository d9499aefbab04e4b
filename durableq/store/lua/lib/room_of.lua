-- room_of(gate, numbers): how many runs more may pass a gate now; of a throttle also by when each start moves it on, from where, and when it opens.
-- keys: slots(pool), tat(key)
-- No number: the limit was removed. A throttle counts starts (GCRA): T = period / limit; `tat` is when the next start would be due if all were evenly spaced.
-- One that is further ahead than a whole burst comes from other numbers, or from a clock that was ahead.
local function room_of(gate, numbers)
  local kind, ordinal, pool = gate[1], gate[2], gate[3]
  if kind == 't' then
    local limit, period_ms, burst = string.match(numbers, ' t=(%d+)/(%d+)/(%d+) ')
    if not limit then return 1000000 end
    local each = period_ms / limit
    local most = now + (burst - 1) * each
    local from = tonumber(redis.call('GET', tat(pool)) or 0)
    if from > most + each then
      -- Kept, or it would go on being a burst ahead.
      from = most + each
      redis.call('SET', tat(pool), string.format('%.3f', from), 'PX', string.format('%d', from - now + 60000))
    end
    -- A wake-up that was a little late costs the next one nothing; a throttle that was idle begins anew.
    if from < now - (each < 20 and 20 or each / 20) then from = now end
    return math.max(0, math.floor((most - from) / each + 1.000001)), each, from, from - (burst - 1) * each
  end
  local limit = kind == 'z' and 1 or tonumber(string.match(numbers, ' ' .. ordinal .. '=(%d+) '))
  if not limit then return 1000000 end
  return limit - redis.call('ZCARD', slots(pool))
end
