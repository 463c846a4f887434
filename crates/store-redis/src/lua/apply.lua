-- keys: meta phones wears holders sessions live deadlines replies ends events touched
-- Arguments are read one after the other; changes are letters with what they need.
local place = 1
local function arg()
  place = place + 1
  return ARGV[place]
end

-- Holders as they were read, and fields of hashes as they shall be: each hash is written once.
local held, fields = {}, {}
local function set(key, field, value)
  local call_of = fields[key]
  if not call_of then
    call_of = {'HSET', key}
    fields[key] = call_of
  end
  local n = #call_of
  call_of[n + 1], call_of[n + 2] = field, value
end

-- A holder is `VERSION;PHONE;PHONE;`: the phones of a user, or those that wear an ACD line.
local function hold(holder, moves, without, with)
  local known = held[holder]
  if known == nil then known = call('HGET', holders, holder) end
  local version, those = string.match(known or '0;', '^(%d+);(.*)$')
  for phone in string.gmatch(without, '[^;]+') do
    local from, to = string.find(';' .. those, ';' .. phone .. ';', 1, true)
    if from then those = string.sub(those, 1, from - 1) .. string.sub(those, to) end
  end
  set(holders, holder, string.format('%.0f;', tonumber(version) + tonumber(moves)) .. those .. with)
end

-- Makes all changes that are left of the arguments; returns the place of the last event.
local function apply(at)
  local last, changed = tonumber(head[2] or '0'), 0
  while place < #ARGV do
    local what = arg()
    if what == 'p' then
      local phone = arg()
      set(phones, phone, arg())
      call('LPUSH', touched, phone)
      changed = changed + 1
    elseif what == 'w' then
      set(wears, arg(), arg())
    elseif what == 'l' then
      set(wears, arg() .. ':after', arg())
    elseif what == 'L' then
      call('HDEL', wears, arg() .. ':after')
    elseif what == 's' then
      set(sessions, arg(), arg())
    elseif what == 'S' then
      call('HDEL', sessions, arg())
    elseif what == 'v' then
      call('ZADD', live, 0, arg())
    elseif what == 'V' then
      call('ZREM', live, arg())
    elseif what == 'd' then
      call('ZADD', deadlines, arg(), arg())
    elseif what == 'D' then
      call('ZREM', deadlines, arg())
    elseif what == 'h' then
      hold(arg(), arg(), arg(), arg())
    elseif what == 'e' then
      last = last + 1
      call('XADD', events, string.format('%.0f-0', last), 'a', at, 'e', arg())
    elseif what == 'r' then
      local request = arg()
      set(replies, request, arg())
      call('ZADD', ends, arg(), request)
    end
  end
  local rev = tonumber(head[3] or '0') + changed
  last = string.format('%.0f', last)
  set(meta, 'seq', last)
  set(meta, 'rev', string.format('%.0f', rev))
  for _, call_of in pairs(fields) do call(unpack(call_of)) end
  if rev % 1024 < changed then call('LTRIM', touched, 0, 65535) end
  return last
end
