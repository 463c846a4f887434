
-- What was read must hold: for each phone the beginning of its record, for each holder the beginning of its own; and
-- a request must not have been answered.
local at = arg()
for _ = 1, tonumber(arg()) do
  local record, read = call('HGET', phones, arg()) or '0:', arg()
  if string.sub(record, 1, #read) ~= read then return {'moved'} end
end
local names, versions = {}, {}
for n = 1, tonumber(arg()) do
  names[n], versions[n] = arg(), arg()
end
if #names > 0 then
  for n, known in ipairs(call('HMGET', holders, unpack(names))) do
    if string.sub(known or '0;', 1, #versions[n]) ~= versions[n] then return {'moved'} end
    held[names[n]] = known
  end
end
local request = arg()
if request ~= '' then
  local known = call('HGET', replies, request)
  if known and string.sub(known, 1, #at) > at then return {'moved'} end
end
return {'ok', apply(at)}
