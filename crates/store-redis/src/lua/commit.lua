
-- What was read must hold: of this history, for each phone the beginning of its record, for each holder the beginning of
-- its own; and a request must not have been answered. What has no record is at the floor of its kind.
local at = arg()
local history = arg()
if history ~= '' and history ~= (head[6] or '') then return {'moved'} end
for _ = 1, tonumber(arg()) do
  local name, read_at = arg(), arg()
  local record = call('HGET', phones, name)
  before[name] = record
  if string.sub(record or (head[5] or '0') .. ':', 1, #read_at) ~= read_at then return {'moved'} end
end
local names, versions = {}, {}
for n = 1, tonumber(arg()) do
  names[n], versions[n] = arg(), arg()
end
if #names > 0 then
  for n, known in ipairs(call('HMGET', holders, unpack(names))) do
    if string.sub(known or (head[4] or '0') .. ';', 1, #versions[n]) ~= versions[n] then return {'moved'} end
    held[names[n]] = known
  end
end
local request = arg()
if request ~= '' then
  local known = call('HGET', replies, request)
  if known and string.sub(known, 1, #at) > at then return {'moved'} end
end
return {'ok', apply(at)}
