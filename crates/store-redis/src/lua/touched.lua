-- keys: meta phones renderings touched
-- The phones that were changed first after the change ARGV[2], ARGV[3] changes at most, as four values each and as
-- they are now; the place of the last event; up to which change this goes, how many there are, and of which history
-- they are. Nothing where so many have been made that they are not remembered, or where there are fewer.
local since, all = tonumber(ARGV[2]), tonumber(head[3] or '0')
local behind = all - since
if behind < 0 or behind > call('LLEN', touched) then return {'ok'} end
local step = math.min(behind, tonumber(ARGV[3]))
local names, seen = {}, {}
if step > 0 then
  for _, phone in ipairs(call('LRANGE', touched, behind - step, behind - 1)) do
    if not seen[phone] then
      seen[phone] = true
      names[#names + 1] = phone
    end
  end
end
return {
  'ok', read(names), head[2] or '0', string.format('%.0f', since + step), string.format('%.0f', all), head[6] or '',
}
