-- end_alone(lease_id, deaths): a run that had to be executed alone has made progress or left, so its child may claim again.
-- keys: lease(lease)
local function end_alone(lease_id, deaths)
  if tonumber(deaths or 0) >= 2 then redis.call('HDEL', lease(lease_id), 'alone', 'doing') end
end
