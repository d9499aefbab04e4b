-- watch_runs: have a process outside told what runs come to; of those that are final, say it now.
-- keys: meta, run(id), watchers(id), answer(id), answers(client)
-- include: look_at, watch, keep_answers
-- args: client:str
-- items: id:str
-- returns: per item '' (it will be told), the letter of the final state, or ABSENT
-- What a final run came to is in `output`, or for 5 min in `answer`, which outlives the run. Sent twice: the same.
local replies = {}
keep_answers(client)
for i = 1, ITEMS do
  local id = item(i)
  local v = look_at(id)
  if v.living then
    watch(id, client)
    replies[i] = ''
  elseif v.s then
    replies[i] = v.s
  else
    local kept = redis.call('GET', answer(id))
    replies[i] = kept and string.sub(kept, 1, 1) or 'ABSENT'
  end
end
return replies
