-- note_fault(fn, detail): count that a trigger of fn could not be evaluated, and keep the latest reason. With an option of flow control behind the id: its key.
-- keys: faults
local function note_fault(fn, detail)
  local count = string.match(redis.call('HGET', faults, fn) or '0', '^%d+')
  redis.call('HSET', faults, fn, (tonumber(count) + 1) .. ' ' .. now .. ' ' .. detail)
end
