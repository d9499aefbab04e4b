-- numbers_of(fn): the numbers of a function's flow control by their letters, as text: {['0'] = '10', t = '100/60000/10'}. The newest deployment's.
-- keys: flow(app)
local numbers_known = {}
local function numbers_of(fn)
  local numbers = numbers_known[fn]
  if numbers then return numbers end
  local app, name = string.match(fn, '^([^/]+)/(.+)$')
  numbers = {}
  for letter, number in string.gmatch(redis.call('HGET', flow(app), name) or '', ' (%w+)=(%S+)') do numbers[letter] = number end
  numbers_known[fn] = numbers
  return numbers
end
