-- end_hold(id, fn, held, touched): the turn of a run is over: give its slots back, but for those that it keeps until its end.
-- keys: run(id), slots(pool), parked(gate), lanes(function), blocked(function), sharers(pool), lane(lane)
-- include: let_go
local function end_hold(id, fn, held, touched)
  local kept = let_go(id, fn, held, false, touched)
  if kept == '' then redis.call('HDEL', run(id), 'h') elseif kept ~= held then redis.call('HSET', run(id), 'h', kept) end
end
