-- tell_holder(id, lease_id, number, key, memo): keep a result from outside for the holder, and ring its inbox.
-- keys: run(id), news(id), inbox(lease)
-- The list is the truth, and goes with the run's turn; the inbox only brings it within 100 ms. A large memo stays in `steps` alone:
-- a thousand children's results must not be in Redis three times. Only results that nothing overwrites are that large.
local function tell_holder(id, lease_id, number, key, memo)
  local small = #memo <= 4096
  redis.call('RPUSH', news(id), number .. ' ' .. key .. (small and ' ' .. memo or ''))
  redis.call('HSET', run(id), 'o', 1)
  if redis.call('EXISTS', inbox(lease_id)) == 1 then
    if small then
      redis.call('XADD', inbox(lease_id), 'MAXLEN', '~', 1000, '*', 'r', id, 'k', key, 'm', memo)
    else
      redis.call('XADD', inbox(lease_id), 'MAXLEN', '~', 1000, '*', 'r', id, 'k', key)
    end
  end
end
