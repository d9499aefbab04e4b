-- take_key(key, id, numbers, if_free): give an idempotency key to a run. if_free: unless another has it: returns that one.
-- keys: once(key)
-- include: has_key
-- The time in it decides, so that a clock that is moved moves it; the expiry, a minute later, only cleans up. No number: nothing is taken.
local function take_key(key, id, numbers, if_free)
  if not numbers.i then return nil end
  if not numbers.once_until then
    numbers.once_until, numbers.once_px = string.format('%d', now + numbers.i) .. ' ', string.format('%d', numbers.i + 60000)
  end
  local value = numbers.once_until .. id
  if if_free then
    if redis.call('SET', once(key), value, 'NX', 'PX', numbers.once_px) then return nil end
    local before = has_key(key)
    if before then return before end
  end
  redis.call('SET', once(key), value, 'PX', numbers.once_px)
end
