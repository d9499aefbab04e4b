-- spell_ms(ms): a length of time as users write it: 5400000 is '1h30m'.
local function spell_ms(ms)
  local text = ''
  for _, unit in ipairs({{'d', 86400000}, {'h', 3600000}, {'m', 60000}, {'s', 1000}, {'ms', 1}}) do
    if ms >= unit[2] then
      text = text .. string.format('%d', math.floor(ms / unit[2])) .. unit[1]
      ms = ms % unit[2]
    end
  end
  return text
end
