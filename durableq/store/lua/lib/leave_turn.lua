-- leave_turn(lease_id, id, epoch, fn, j): the turn of a run ends while its code is still being left: the slots of the turn stay with the lease until then.
-- keys: slots(pool), leaving(lease)
-- include: gates_of
-- They are named `id~lease~epoch` from here on, so that the run may be claimed again meanwhile. The child says by free_slots when the code has ended.
local function leave_turn(lease_id, id, epoch, fn, j)
  local name, turn = id .. '~' .. lease_id .. '~' .. epoch, ''
  for _, gate in ipairs(gates_of(string.match(j, '^%S+(.*)$'))) do
    if gate[1] == 'c' then
      redis.call('SREM', slots(gate[3]), id)
      redis.call('SADD', slots(gate[3]), name)
      turn = turn .. ' c' .. gate[2] .. '=' .. gate[3]
    end
  end
  if turn ~= '' then redis.call('HSET', leaving(lease_id), name, fn .. turn) end
end
