-- A record is `EPOCH:`, a letter that says which renderings its phone has (`n` none, `w` what it wears, `a` what it wears
-- after its session, `b` both), their names of 14 bytes each, and the rest.
local function wear(record)
  local colon = string.find(record or '', ':', 1, true)
  if not colon then return end
  local which = string.sub(record, colon + 1, colon + 1)
  local first, second = string.sub(record, colon + 2, colon + 15), string.sub(record, colon + 16, colon + 29)
  if which == 'w' then return first end
  if which == 'a' then return nil, first end
  if which == 'b' then return first, second end
end

-- Phones as four values each: name, record, what it wears, what it wears after its session.
local function read(names)
  local found = {}
  for from = 1, #names, 1000 do
    local to = math.min(from + 999, #names)
    local wanted, places = {}, {}
    for n, record in ipairs(call('HMGET', phones, unpack(names, from, to))) do
      local at = 4 * (from + n - 1)
      found[at - 3], found[at - 2], found[at - 1], found[at] = names[from + n - 1], record, false, false
      local wears, after = wear(record)
      if wears then wanted[#wanted + 1], places[#places + 1] = wears, at - 1 end
      if after then wanted[#wanted + 1], places[#places + 1] = after, at end
    end
    if #wanted > 0 then
      for n, rendering in ipairs(call('HMGET', renderings, unpack(wanted))) do found[places[n]] = rendering end
    end
  end
  return found
end
