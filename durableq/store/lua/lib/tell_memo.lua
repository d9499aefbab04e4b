-- tell_memo(found, key, memo): add a memo to what an item's holder is told, flat. Beyond 256 KB a call only its key: the caller reads it apart.
-- A run that awaits a hundred children may have a hundred results of 4 MB at once; one reply of that length would hold up Redis and whoever reads it.
-- told_apart, the last part of the script's reply, says that there are such. The smallest always come along: they are worth no second call.
local told_bytes, told_apart = 0, nil
local function tell_memo(found, key, memo)
  if #memo > 256 and told_bytes + #memo > 262144 then
    told_apart, memo = 1, ''
  end
  told_bytes = told_bytes + #memo
  found[#found + 1] = key
  found[#found + 1] = memo
end
