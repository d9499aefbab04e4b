-- holds(v, lease_id, epoch): whether the fields v = {s, l, n, …} say that this lease and epoch hold the run.
local function holds(v, lease_id, epoch)
  return v[1] == 'r' and v[2] == lease_id and tonumber(v[3]) == epoch
end
