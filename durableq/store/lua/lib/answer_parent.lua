-- answer_parent(id, state, out, touched): the run that invoked this one, and awaits it still, has its result.
-- keys: run(id), steps(id), history(id), news(id), inbox(lease), waiting(function), ready(function), suspects(app), timers, heard(event), idle, waits(bucket), signals, lane(lane), lanes(function), gated(function)
-- include: look_at, wait_of, end_wait
-- The parent's memo decides: it is pending, or nobody is told. `out` is the result, or the failure, as the run has it. A pending one names this run:
-- it and the run that it names are made by one act, `u` of that run says which memo, and a memo that has ended does not begin again.
local function answer_parent(id, state, out, touched)
  local parent, key = string.match(redis.call('HGET', run(id), 'u') or '', '^(%S+) (%S+)$')
  if not parent then return end
  local v = look_at(parent)
  if not v.living then return end
  local kind, filed, blob = wait_of(redis.call('HGET', steps(parent), key))
  if kind == 'i' then
    end_wait(parent, v, key, kind, filed, blob, state == 'c' and 'd' or 'e', out, touched)
  end
end
