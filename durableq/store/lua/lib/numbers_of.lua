-- numbers_of(fn): the numbers of a function's flow control, as ` 0=10 t=100/60000/10 `; ' ' where it has none. The newest deployment's.
-- keys: flow(app)
local function numbers_of(fn)
  local app, name = string.match(fn, '^([^/]+)/(.+)$')
  return redis.call('HGET', flow(app), name) or ' '
end
