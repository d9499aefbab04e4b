-- read_names: the names that something waits for, as far as they have changed since a version, with the paths by which waits are filed.
-- keys: meta, names, heard(event)
-- args: version:int, limit:int
-- returns: the version up to which this tells everything, then per name: name, paths
-- A name that is not told again may have been forgotten since; to look for it costs a field that is not there.
local found = redis.call('ZRANGEBYSCORE', names, '(' .. version, '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
local told = {}
for i = 1, #found, 2 do
  local paths = {}
  for _, field in ipairs(redis.call('HKEYS', heard(found[i]))) do
    if string.sub(field, 1, 2) == 'p ' then paths[#paths + 1] = string.sub(field, 3) end
  end
  told[#told + 1] = {found[i], paths}
end
local upto = tonumber(redis.call('HGET', meta, 'names') or 0)
if #told == limit then upto = tonumber(found[#found]) end
return {upto, told}
