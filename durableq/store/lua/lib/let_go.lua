-- let_go(id, fn, held, all, touched): give slots back, those of the turn or all, and open what is parked there. Returns those that it keeps.
-- keys: slots(pool), parked(gate), lanes(function), blocked(function), sharers(pool), lane(lane), run(id)
-- include: unpark
-- A pool that several functions share (`+`) opens a lane of each: one alone might be of a function that nobody executes.
local function let_go(id, fn, held, all, touched)
  local kept = {}
  for text, kind, pool in string.gmatch(held, '((%a)%d?=(%S+))') do
    if not all and kind ~= 'c' then
      kept[#kept + 1] = text
    elseif redis.call('ZREM', slots(pool), id) == 1 then
      if string.byte(pool) == 43 then
        for _, other in ipairs(redis.call('SMEMBERS', sharers(pool))) do unpark(pool, other, 1, touched) end
      else
        unpark(pool, fn, 1, touched)
      end
    end
  end
  return table.concat(kept, ' ')
end
