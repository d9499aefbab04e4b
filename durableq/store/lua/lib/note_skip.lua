-- note_skip(fn, place, reason, key, other): note that a trigger of fn has started nothing, and why. place: where the event stands in the stream; of a run that was asked for, its id. `other` is the run or event that it was left out for.
-- keys: skips(function), skipped(app)
local function note_skip(fn, place, reason, key, other)
  local app, name = string.match(fn, '^([^/]+)/(.+)$')
  redis.call('LPUSH', skips(fn), now_text .. ' ' .. place .. ' ' .. reason .. ' ' .. key .. ' ' .. (other or '-'))
  redis.call('LTRIM', skips(fn), 0, 999)
  redis.call('HINCRBY', skipped(app), name .. ' ' .. reason, 1)
end
