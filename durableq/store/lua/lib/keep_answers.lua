-- keep_answers(client): have a stream for what a process outside is told, for 5 min from now.
-- keys: answers(client)
local function keep_answers(client)
  if redis.call('EXISTS', answers(client)) == 0 then redis.call('XADD', answers(client), '*', 'r', '') end
  redis.call('PEXPIRE', answers(client), 300000)
end
