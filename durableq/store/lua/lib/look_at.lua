-- look_at(id): the fields of a run that scripts off the hot path decide by, by name; `living` is whether it is not final.
-- keys: run(id)
local function look_at(id)
  local v = redis.call('HMGET', run(id), 's', 'f', 'c', 'l', 'n', 'q', 'd', 't', 'm', 'o', 'x', 'k', 'b', 'y', 'j')
  local found = {s = v[1], f = v[2], c = v[3], l = v[4], n = v[5], q = v[6], d = v[7], t = v[8], m = v[9], o = v[10], x = v[11], k = v[12], b = v[13], y = v[14], j = v[15]}
  found.living = v[1] == 'q' or v[1] == 'r' or v[1] == 'w'
  return found
end
