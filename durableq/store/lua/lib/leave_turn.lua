-- leave_turn(lease_id, id, epoch, fn, j): the turn of a run ends while its code is still being left: slots stay with the lease until then.
-- keys: slots(pool), leaving(lease)
-- include: gates_of
-- They are named `id~lease~epoch`, so that the run may be claimed again meanwhile. Those of the turn are renamed; of those that the run keeps there is one
-- more, since it may end before its code has been left: by a cancel, as a singleton that is replaced. The child says by free_slots when that is so.
local function leave_turn(lease_id, id, epoch, fn, j)
  local name, suffix, holds_any = id .. '~' .. lease_id .. '~' .. epoch, string.match(j, '^%S+(.*)$'), false
  for _, gate in ipairs(gates_of(suffix)) do
    if gate[1] ~= 't' then
      if gate[1] == 'c' then redis.call('SREM', slots(gate[3]), id) end
      redis.call('SADD', slots(gate[3]), name)
      holds_any = true
    end
  end
  if holds_any then redis.call('HSET', leaving(lease_id), name, fn .. suffix) end
end
