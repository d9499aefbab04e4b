-- offer(touched): list the functions that have become claimable, and wake one idle child of each of their apps.
-- keys: work(app), bell(app)
-- include: app_of
-- touched: true, or by how many ms its turn is behind that of others which come to be in the same call.
-- A bell that no worker has registered for is not made: it would have no owner.
local function offer(touched)
  local rung = {}
  for fn, later_ms in pairs(touched) do
    local app = app_of(fn)
    redis.call('ZADD', work(app), 'NX', later_ms == true and now or now + later_ms, fn)
    if not rung[app] then
      rung[app] = true
      redis.call('XADD', bell(app), 'NOMKSTREAM', 'MAXLEN', 1, '*', 'e', '1')
    end
  end
end
