-- deliver_event: give an event to waits that it answers, and cancel the runs whose listeners it fits.
-- transition: WAITING -> QUEUED, WAITING -> WAITING, QUEUED -> QUEUED, RUNNING -> RUNNING, QUEUED -> CANCELLED, RUNNING -> CANCELLED, WAITING -> CANCELLED, CANCELLED -> ABSENT
-- keys: meta, events, event_bell, idle, heard(event), waits(bucket), post(event), posts, signals, run(id), input(id), steps(id), history(id), news(id), output(id), watchers(id), answer(id), answers(client), ready(function), work(app), suspects(app), waiting(function), done(list), kept, void, timers, bell(app), lease(lease), held(lease), inbox(lease), lane(lane), lanes(function), gated(function), slots(pool), parked(gate), blocked(function), sharers(pool), lock(key), leaving(lease), timer_bell
-- include: look_at, wait_of, end_wait, cancel_run, list_ended, offer, later, take_back
-- args: event_name:str, entry:str, last:int, keep_failed:int
-- items: bucket:str, ticket:int
-- returns: server time in ms, runs that it reached, entries that the name has still to deliver
-- errors: POST_MOVED when the entry is not the first in its name's post: somebody else has delivered it
-- The items are those whose conditions hold. last 1 with the last page: the entry leaves the post. In order of entries, so that the earliest match wins.
-- Of a wait, `until` is its timeout's matter (not_yet). A ticket above the bound of the entry is of a wait that has looked at it itself. Sent twice, or by two: a ticket that is gone has been answered, or its wait has ended otherwise.
local head = redis.call('LINDEX', post(event_name), 0)
local at, bound, from = string.match(head or '', '^(%S+) (%d+) [^\n]*\n()')
if at ~= entry then return redis.error_reply('POST_MOVED ' .. (at or 'none')) end
bound = tonumber(bound)
local blob, entry_ms = nil, tonumber(string.match(entry, '^%d+'))
local reached, touched, ended, kept_bytes = 0, {}, {}, 0
for i = 1, ITEMS do
  local bucket, ticket = item(i)
  local member = redis.call('ZRANGEBYSCORE', waits(bucket), ticket, ticket)[1]
  local what, id, key, place, until_ms = string.match(member or '', '^(%a) (%S+) (%S+) (%S+) (%d+) ')
  local v = what and ticket <= bound and later(entry, place) and (what == 'v' or until_ms == '0' or entry_ms <= tonumber(until_ms)) and look_at(id)
  if v and v.living then
    if what == 'x' then
      kept_bytes = kept_bytes + cancel_run(id, v, 'event ' .. event_name .. ' (cancel_on)', ended, touched)
      reached = reached + 1
    else
      local kind, filed, before = wait_of(redis.call('HGET', steps(id), key))
      -- Who ends a wait takes its ticket away by the same act: the memo of one that is there is pending, and filed here.
      if kind == 'v' then
        blob = blob or string.sub(head, from)
        end_wait(id, v, key, kind, filed, before, 'm', entry .. ' ' .. blob, touched)
        reached = reached + 1
      end
    end
  end
end
if last == 1 then
  redis.call('LPOP', post(event_name))
  redis.call('HINCRBY', meta, 'posts', -1)
  redis.call('HINCRBY', meta, 'post_bytes', -#head)
end
local left = redis.call('LLEN', post(event_name))
if left == 0 then
  redis.call('ZREM', posts, event_name)
else
  redis.call('ZADD', posts, now + (last == 1 and 0 or 200), event_name)
end
offer(touched)
kept_bytes = kept_bytes + list_ended(ended, keep_failed, keep_failed)
if kept_bytes ~= 0 then redis.call('HINCRBY', meta, 'kept_bytes', kept_bytes) end
return {now, reached, left}
