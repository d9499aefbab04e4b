-- give_number(app, release): make a deployment the app's newest, and forget all but the 200 newest. Returns its number.
-- keys: deployments(app)
local function give_number(app, release)
  local number = tonumber(redis.call('HGET', deployments(app), '') or 0) + 1
  redis.call('HSET', deployments(app), release, number, '', number)
  if redis.call('HLEN', deployments(app)) > 201 then
    local all = redis.call('HGETALL', deployments(app))
    for i = 1, #all, 2 do
      if all[i] ~= '' and tonumber(all[i + 1]) <= number - 200 then redis.call('HDEL', deployments(app), all[i]) end
    end
  end
  return number
end
