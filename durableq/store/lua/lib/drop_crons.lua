-- drop_crons(gone): forget the cron triggers for which gone(function, trigger) holds. Runs that they started go on.
-- keys: crons, cron(trigger), started(trigger)
local function drop_crons(gone)
  for _, trigger in ipairs(redis.call('ZRANGE', crons, 0, -1)) do
    if gone(string.match(trigger, '^%S+'), trigger) then
      redis.call('ZREM', crons, trigger)
      redis.call('UNLINK', cron(trigger), started(trigger))
    end
  end
end
