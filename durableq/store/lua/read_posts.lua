-- read_posts: the entry that a name has to deliver next, and a page of those who may wait for it.
-- keys: meta, waits(bucket), post(event), posts
-- args: event_name:str, entry:str, number:int, above:int, limit:int, budget_bytes:int
-- returns: nothing when there is nothing to do; ms until what others have in hand is anybody's; or name, entry, event ('' but on the first page), bucket, its tickets and what is filed under each,
--   flat, and where to go on: number of the bucket (0: that was all), above which ticket
-- event_name '': the first page of whatever is due longest; it is left to the caller for 200 ms, then to anybody. Otherwise a further page
-- of an entry: nothing if it is not the first in its name's post any more.
-- Nobody above the last ticket that was given out when the entry was routed is read: those have looked at it themselves.
if event_name == '' then
  -- Far ahead: the clock has stepped back since.
  event_name = redis.call('ZRANGEBYSCORE', posts, '-inf', now, 'LIMIT', 0, 1)[1]
    or redis.call('ZRANGEBYSCORE', posts, now + 1000, '+inf', 'LIMIT', 0, 1)[1]
  if not event_name then
    local earliest = redis.call('ZRANGE', posts, 0, 0, 'WITHSCORES')[2]
    return earliest and {math.max(1, tonumber(earliest) - now)} or {}
  end
  number, above, entry = 1, 0, ''
end
local head = redis.call('LINDEX', post(event_name), 0)
if not head then return {} end
local at, bound, buckets, from = string.match(head, '^(%S+) (%d+) ([^\n]*)\n()')
if entry ~= '' and entry ~= at then return {} end
redis.call('ZADD', posts, 'XX', now + 200, event_name)
local list = {}
for one in string.gmatch(buckets, '%S+') do list[#list + 1] = one end
local found = redis.call('ZRANGEBYSCORE', waits(list[number]), '(' .. above, bound, 'WITHSCORES', 'LIMIT', 0, limit)
local candidates, bytes = {}, 0
for i = 1, #found, 2 do
  if bytes >= budget_bytes then break end
  candidates[i], candidates[i + 1] = tonumber(found[i + 1]), found[i]
  bytes = bytes + #found[i]
end
local bucket, first = list[number], number == 1 and above == 0
if #found / 2 == limit or #candidates < #found then
  above = candidates[#candidates - 1]
else
  number, above = number < #list and number + 1 or 0, 0
end
return {event_name, at, first and string.sub(head, from) or '', bucket, candidates, number, above}
