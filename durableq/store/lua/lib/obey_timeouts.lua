-- obey_timeouts(fn, place): set the timers of a function's living runs by the newest deployment's timeouts, of a hundred or so. Returns where to go on, nil at the end.
-- keys: ready(function), gated(function), waiting(function), suspects(app), leases, held(lease), run(id), timers, timeouts(app)
-- place: `pass stage cursor`, '' at first. What takes more than one call is gone through twice, since runs move meanwhile.
local function obey_timeouts(fn, place)
  local app, name = string.match(fn, '^([^/]+)/(.+)$')
  local start_ms, finish_ms = string.match(redis.call('HGET', timeouts(app), name) or '0 0', '^(%d+) (%d+)$')
  local function settle(id)
    local v = redis.call('HMGET', run(id), 's', 'f', 'b', 'c', 'y', 'k')
    if v[2] ~= fn or not (v[1] == 'q' or v[1] == 'r' or v[1] == 'w') then return end
    local kind, allowed, from = 'f', tonumber(finish_ms), v[3]
    if not v[3] then kind, allowed, from = 'b', tonumber(start_ms), v[5] or v[4] end
    if allowed == 0 then return end
    redis.call('ZADD', timers, tonumber(from) + allowed, kind .. ' ' .. id)
    if not string.find(v[6] or '', 't', 1, true) then redis.call('HSET', run(id), 'k', (v[6] or '') .. 't') end
  end
  local pass, stage, cursor = string.match(place, '^(%d) (%d+) (%d+)$')
  pass, stage, cursor = tonumber(pass or 1), tonumber(stage or 1), cursor or '0'
  local at_once, looked = place == '', 0
  -- A page of what is ready, in lanes, waiting, suspected, or in hand of one lease after the other; nil behind the last.
  local function page()
    if stage <= 4 then
      if stage == 2 then return redis.call('SSCAN', gated(fn), cursor, 'COUNT', 100), 1 end
      local list = stage == 1 and ready(fn) or stage == 3 and waiting(fn) or suspects(app)
      return redis.call('ZSCAN', list, cursor, 'COUNT', 100), 2
    end
    local lease_id = redis.call('ZRANGE', leases, stage - 5, stage - 5)[1]
    if lease_id then return redis.call('SSCAN', held(lease_id), cursor, 'COUNT', 100), 1 end
  end
  while looked < 100 do
    local found, step = page()
    if found then
      for i = 1, #found[2], step do
        settle(found[2][i])
        looked = looked + 1
      end
      cursor = found[1]
      if cursor == '0' then stage = stage + 1 end
    elseif at_once or pass == 2 then
      return nil
    else
      pass, stage = 2, 1
    end
  end
  return pass .. ' ' .. stage .. ' ' .. cursor
end
