-- numbers_of(fn): the numbers of a function's flow control, as ` 0=10 t=100/60000/10 `; ' ' where it has none. The newest deployment's.
-- keys: flow(app)
local numbers_known = {}
local function numbers_of(fn)
  local found = numbers_known[fn]
  if not found then
    local app, name = string.match(fn, '^([^/]+)/(.+)$')
    found = redis.call('HGET', flow(app), name) or ' '
    numbers_known[fn] = found
  end
  return found
end
