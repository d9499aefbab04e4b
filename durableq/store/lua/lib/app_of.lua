-- app_of(fn): the app in a full function id, `app/function`.
local function app_of(fn)
  return string.match(fn, '^[^/]+')
end
