-- keys: meta phones wears holders
-- The phone ARGV[2], and the phones of the holders that follow: their versions, then four values for each phone.
local versions, found, seen = {}, {}, {}
local function take(phone)
  if seen[phone] then return end
  seen[phone] = true
  local worn = call('HMGET', wears, phone, phone .. ':after')
  local n = #found
  found[n + 1], found[n + 2], found[n + 3], found[n + 4] = phone, call('HGET', phones, phone), worn[1], worn[2]
end
take(ARGV[2])
if #ARGV > 2 then
  for n, known in ipairs(call('HMGET', holders, unpack(ARGV, 3))) do
    local version, held = string.match(known or '0;', '^(%d+);(.*)$')
    versions[n] = version
    for phone in string.gmatch(held, '[^;]+') do take(phone) end
  end
end
return {'ok', versions, found}
