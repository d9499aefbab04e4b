-- let_go(freed, touched): give slots back, and open what is parked there: for each pool the runs that had one, and a function.
-- keys: slots(pool), parked(gate), lanes(function), blocked(function), sharers(pool), timers, timer_bell, lane(lane), run(id)
-- include: unpark
-- rarely: ring_timers
-- Of a pool that several functions share (`+`) as many are opened as there are slots, and one, those first that have waited longest; and because they might be of functions that nobody
-- executes, a timer opens the others 100 ms later, as far as there is room then. One that was opened is not again before somebody has visited it.
local function let_go(freed, touched)
  for pool, runs in pairs(freed) do
    local count = redis.call('SREM', slots(pool), unpack(runs))
    if count == 0 then
      -- Given back before.
    elseif string.byte(pool) == 43 then
      local first = redis.call('ZPOPMIN', sharers(pool), count + 1)
      for i = 1, #first, 2 do
        local name = first[i] .. '*'
        local was = touched[name]
        unpark(pool, first[i], 1, touched)
        -- In this order, too, if one claim comes to them.
        if not was and touched[name] then touched[name] = (i - 1) / 2 end
      end
      if #first == 2 * count + 2 and redis.call('EXISTS', sharers(pool)) == 1 then
        redis.call('ZADD', timers, 'NX', now + 100, 'S ' .. pool)
        ring_timers(now + 100)
      end
    else
      unpark(pool, runs.fn, count, touched)
    end
  end
end
