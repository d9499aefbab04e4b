-- promote_deployment: make a deployment of an app its newest one, also where a later one has been seen.
-- keys: meta, deployments(app)
-- include: give_number
-- args: app:str, release:str
-- returns: the deployment's number, 1 if it was not the newest before
-- Its functions become the app's with the next register_app of this deployment; until then those of the last one stay.
-- Sent twice: it is the newest already.
local number = redis.call('HGET', deployments(app), release)
if number and number == redis.call('HGET', deployments(app), '') then return {tonumber(number), 0} end
return {give_number(app, release), 1}
