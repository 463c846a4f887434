-- keys: meta phones wears touched
-- The phones that were changed first after the change ARGV[2], ARGV[3] changes at most, as four values each and as
-- they are now; the place of the last event; up to which change this goes, and how many there are. Nothing where so
-- many have been made that they are not remembered.
local since, all = tonumber(ARGV[2]), tonumber(head[3] or '0')
local behind = all - since
if behind > call('LLEN', touched) then return {'ok'} end
local step = math.min(behind, tonumber(ARGV[3]))
local found, seen = {}, {}
if step > 0 then
  for _, phone in ipairs(call('LRANGE', touched, behind - step, behind - 1)) do
    if not seen[phone] then
      seen[phone] = true
      local worn, n = call('HMGET', wears, phone, phone .. ':after'), #found
      found[n + 1], found[n + 2], found[n + 3], found[n + 4] = phone, call('HGET', phones, phone), worn[1], worn[2]
    end
  end
end
return {'ok', found, head[2] or '0', string.format('%.0f', since + step), string.format('%.0f', all)}
