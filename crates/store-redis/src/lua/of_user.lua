-- keys: meta phones wears holders
-- At most ARGV[4] phones of the holder ARGV[2] with names after ARGV[3], as four values each, and the place of the
-- last event.
local names, found = {}, {}
for phone in string.gmatch(string.match(call('HGET', holders, ARGV[2]) or ';', ';(.*)$'), '[^;]+') do
  if phone > ARGV[3] then names[#names + 1] = phone end
end
table.sort(names)
for n = 1, math.min(#names, tonumber(ARGV[4])) do
  local phone, at = names[n], 4 * n
  local worn = call('HMGET', wears, phone, phone .. ':after')
  found[at - 3], found[at - 2], found[at - 1], found[at] = phone, call('HGET', phones, phone), worn[1], worn[2]
end
return {'ok', found, head[2] or '0'}
