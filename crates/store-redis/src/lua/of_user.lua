-- keys: meta phones renderings holders
-- At most ARGV[4] phones of the holder ARGV[2] with names after ARGV[3], as four values each, and the place of the
-- last event. Names are compared as digits, since texts compare by the server's language.
local function digits(name)
  return (string.gsub(name, '.', function(byte) return string.format('%02X', string.byte(byte)) end))
end
local known, after, names, of = call('HGET', holders, ARGV[2]) or ';', digits(ARGV[3]), {}, {}
for at = (string.find(known, ';', 1, true) or #known) + 1, #known, 6 do
  local name = string.sub(known, at, at + 5)
  local its = digits(name)
  if its > after then
    names[#names + 1] = its
    of[its] = name
  end
end
table.sort(names)
local some = {}
for n = 1, math.min(#names, tonumber(ARGV[4])) do some[n] = of[names[n]] end
return {'ok', read(some), head[2] or '0'}
