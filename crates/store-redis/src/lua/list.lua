-- keys: meta phones wears live
-- At most ARGV[3] phones with a session from the place ARGV[2] on, as four values each; the place of the last event,
-- and the number of changes so far.
local names = call('ZRANGEBYLEX', live, ARGV[2], '+', 'LIMIT', 0, ARGV[3])
local found = {}
if #names > 0 then
  local places = {}
  for n, name in ipairs(names) do
    places[2 * n - 1], places[2 * n] = name, name .. ':after'
  end
  local records, worn = call('HMGET', phones, unpack(names)), call('HMGET', wears, unpack(places))
  for n, name in ipairs(names) do
    local at = 4 * n
    found[at - 3], found[at - 2], found[at - 1], found[at] = name, records[n], worn[2 * n - 1], worn[2 * n]
  end
end
return {'ok', found, head[2] or '0', head[3] or '0'}
