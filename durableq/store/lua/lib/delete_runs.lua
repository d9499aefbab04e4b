-- delete_runs(list, popped): remove finished runs whose retention is over. Returns the bytes they were counted with.
-- keys: run(id), input(id), steps(id), history(id), output(id), done(list), void
-- `popped`: ids with their scores, flat, as ZPOPMIN has them. A finished run has no news: nobody holds it.
-- A run from which something still hangs goes back to its place: it is swept within seconds, and its children are found by its memos.
local function delete_runs(list, popped)
  local bytes, keys, hanging = 0, {}, redis.call('EXISTS', void) == 1
  for i = 1, #popped, 2 do
    local id = popped[i]
    local v = redis.call('HMGET', run(id), 'm', 't', 'q', 'x')
    if hanging and redis.call('SISMEMBER', void, id) == 1 then
      redis.call('ZADD', done(list), popped[i + 1], id)
    else
      bytes = bytes + tonumber(v[1] or 0)
      keys[#keys + 1] = run(id)
      keys[#keys + 1] = input(id)
      keys[#keys + 1] = output(id)
      -- Without a timer, a result or a death there is nothing that would be in these two.
      if v[2] or v[3] or v[4] then
        keys[#keys + 1] = steps(id)
        keys[#keys + 1] = history(id)
      end
    end
  end
  if #keys > 0 then redis.call('UNLINK', unpack(keys)) end
  return bytes
end
