-- waits_for_itself(id, fn, extras): whether a child of run id could never be claimed, since it needs a slot of a pool all of whose slots are held, until they end, by runs that wait for this
--   very child: its parent, that one's parent if it awaits it still, and so on. Returns the pool, and the nearest of them; nil: it could.
-- keys: run(id), steps(id), flow(app)
-- include: gates_of, numbers_of, limit_of, wait_of
-- Slots of a turn are given back by who waits. Others who hold slots may end some time: that they wait for such children of their own is not looked for. Of more than 1,000 ancestors the nearest are looked at.
local function waits_for_itself(id, fn, extras)
  local wanted, pools = {}, 0
  for _, gate in ipairs(gates_of(string.match(extras, '^@%S+([^;]*);'))) do
    local limit = (gate[1] == 'c' or gate[1] == 'r') and limit_of(gate, numbers_of(fn))
    if limit then
      wanted[gate[3]] = {left = limit}
      pools = pools + 1
    end
  end
  for _ = 1, pools > 0 and 1000 or 0 do
    local v = redis.call('HMGET', run(id), 'j', 'u')
    for _, gate in ipairs(gates_of(string.match(v[1] or '', ' .*$') or '')) do
      local pool = gate[1] == 'r' and wanted[gate[3]]
      if pool then
        pool.left, pool.holder = pool.left - 1, pool.holder or id
        if pool.left <= 0 then return gate[3], pool.holder end
      end
    end
    local parent, key = string.match(v[2] or '', '^(%S+) (%S+)$')
    local kind, child = wait_of(parent and redis.call('HGET', steps(parent), key))
    if kind ~= 'i' or child ~= id then return nil end
    id = parent
  end
end
