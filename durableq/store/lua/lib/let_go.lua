-- let_go(freed, touched): give slots back, and open what is parked there: for each pool the runs that had one, and a function.
-- keys: slots(pool), parked(gate), lanes(function), blocked(function), sharers(pool), lane(lane), run(id)
-- include: unpark
-- A pool that several functions share (`+`) opens lanes of each: one alone might be of a function that nobody executes.
local function let_go(freed, touched)
  for pool, runs in pairs(freed) do
    local count = redis.call('SREM', slots(pool), unpack(runs))
    if count == 0 then
      -- Given back before.
    elseif string.byte(pool) == 43 then
      for _, other in ipairs(redis.call('SMEMBERS', sharers(pool))) do unpark(pool, other, count, touched) end
    else
      unpark(pool, runs.fn, count, touched)
    end
  end
end
