-- is_paused(fn): how a function is paused: 'wait' or 'skip'; nil if it is not. Asked only where `paused` of meta says that any is.
-- keys: paused(app)
local function is_paused(fn)
  local app, name = string.match(fn, '^([^/]+)/(.+)$')
  return string.match(redis.call('HGET', paused(app), name) or '', '^%a+')
end
