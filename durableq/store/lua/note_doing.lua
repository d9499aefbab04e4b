-- note_doing: name the step that a run executed alone is about to begin, in case it takes its process with it.
-- keys: meta, lease(lease)
-- args: lease_id:str, step:str
-- returns: 1 if the lease has a run to itself
if redis.call('HEXISTS', lease(lease_id), 'alone') == 0 then return 0 end
redis.call('HSET', lease(lease_id), 'doing', step)
return 1
