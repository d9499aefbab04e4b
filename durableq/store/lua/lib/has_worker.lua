-- has_worker(fn): whether a living lease belongs to a child that can execute this function.
-- keys: leases, lease(lease)
local function has_worker(fn)
  for _, lease_id in ipairs(redis.call('ZRANGE', leases, 0, 999)) do
    if redis.call('HEXISTS', lease(lease_id), 'f:' .. fn) == 1 then return true end
  end
  return false
end
