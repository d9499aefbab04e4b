-- open_namespace: read the identity and schema of the namespace, giving it the offered ones at first use.
-- keys: meta, event_bell, timer_bell
-- args: offered_identity:str, schema:int
-- returns: identity, schema, server time in ms
-- identity: not checked, since this is where a process learns it
for _, stream in ipairs({event_bell, timer_bell}) do
  if redis.call('EXISTS', stream) == 0 then
    redis.call('XGROUP', 'CREATE', stream, GROUP, '$', 'MKSTREAM')
  end
end
if redis.call('HSETNX', meta, 'identity', offered_identity) == 1 then
  redis.call('HSET', meta, 'schema', schema, 'shards', 1, 'created_at_ms', now,
    'sent', 0, 'routed', 0, 'routed_upto', '0-0', 'registry', 0, 'kept_bytes', 0)
end
local known = redis.call('HMGET', meta, 'identity', 'schema')
return {known[1], tonumber(known[2]), now}
