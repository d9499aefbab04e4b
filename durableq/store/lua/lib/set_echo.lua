-- set_echo(app, sorts): note which system events an app asks for ('': those that wait for them), and of which there is anybody at all.
-- keys: meta, echoes
local function set_echo(app, sorts)
  if sorts == '' then redis.call('HDEL', echoes, app) else redis.call('HSET', echoes, app, sorts) end
  local all = table.concat(redis.call('HVALS', echoes))
  local union = ''
  for sort in string.gmatch('fexit', '%a') do
    if string.find(all, sort, 1, true) then union = union .. sort end
  end
  redis.call('HSET', meta, 'echo', union)
end
