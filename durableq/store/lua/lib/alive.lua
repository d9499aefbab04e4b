-- alive(lease_id): whether the lease may still act: neither closed nor rescued. Expired is alive until somebody rescues it.
-- keys: leases
local function alive(lease_id)
  return redis.call('ZSCORE', leases, lease_id)
end
