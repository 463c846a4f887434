-- keys: meta phones renderings holders
-- The phone ARGV[2], and the phones of the holders that follow: their versions, four values for each phone, and the
-- epoch of a phone without a record, and of which history they are.
local versions, names, seen = {}, {ARGV[2]}, {[ARGV[2]] = true}
if #ARGV > 2 then
  for n, known in ipairs(call('HMGET', holders, unpack(ARGV, 3))) do
    known = known or (head[4] or '0') .. ';'
    local ends_at = string.find(known, ';', 1, true) or 0
    versions[n] = string.sub(known, 1, ends_at - 1)
    for at = ends_at + 1, #known, 6 do
      local phone = string.sub(known, at, at + 5)
      if not seen[phone] then
        seen[phone] = true
        names[#names + 1] = phone
      end
    end
  end
end
return {'ok', versions, read(names), head[5] or '0', head[6] or ''}
