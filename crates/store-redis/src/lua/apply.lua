-- keys: meta phones renderings shared holders vacant sessions live deadlines replies ends events touched
-- Arguments are read one after the other; changes are letters with what they need.
local place = 1
local function arg()
  place = place + 1
  return ARGV[place]
end

-- Records and holders as they were read, and fields of hashes as they shall be: each hash is written once.
local before, held, fields, emptied = {}, {}, {}, {}
local function set(key, field, value)
  local call_of = fields[key]
  if not call_of then
    call_of = {'HSET', key}
    fields[key] = call_of
  end
  local n = #call_of
  call_of[n + 1], call_of[n + 2] = field, value
end

-- Phones, six bytes each, without those others.
local function without(those, others)
  if others == '' then return those end
  local gone, left = {}, {}
  for n = 1, #others, 6 do gone[string.sub(others, n, n + 5)] = true end
  for n = 1, #those, 6 do
    local phone = string.sub(those, n, n + 5)
    if not gone[phone] then left[#left + 1] = phone end
  end
  return table.concat(left)
end

-- A holder is `VERSION;` and phones: those of a user, or those that wear an ACD line. One without any is forgotten by
-- and by.
local function hold(holder, moves, gone, come)
  local known = held[holder]
  if known == nil then known = call('HGET', holders, holder) end
  known = known or (head[4] or '0') .. ';'
  local ends_at = string.find(known, ';', 1, true)
  local version = string.format('%.0f;', tonumber(string.sub(known, 1, ends_at - 1)) + tonumber(moves))
  local those = without(string.sub(known, ends_at + 1), gone) .. come
  if those == '' then emptied[#emptied + 1] = holder end
  set(holders, holder, version .. those)
end

-- A rendering is there once, however many phones refer to it: those beside the first are counted.
local function keep(name, rendering)
  local is_new = rendering and call('HSET', renderings, name, rendering) == 1
  if not is_new and (rendering or call('HEXISTS', renderings, name) == 1) then call('HINCRBY', shared, name, 1) end
end

local function leave(name)
  local others = call('HGET', shared, name)
  if not others then
    call('HDEL', renderings, name)
  elseif others == '1' then
    call('HDEL', shared, name)
  else
    call('HINCRBY', shared, name, -1)
  end
end

-- What the phone shall wear, and wear after its session: nothing (`0`), what it wore (`w`), what it should have worn
-- after its session (`a`), or a rendering that follows its name (`n`). Returns what its record says of it.
local function dress(phone)
  local record = before[phone]
  if record == nil then record = call('HGET', phones, phone) end
  local wore, after = wear(record)
  local known, free, names = {w = wore, a = after}, {}, {}
  if wore then free[wore] = 1 end
  if after then free[after] = (free[after] or 0) + 1 end
  for n = 1, 2 do
    local what, rendering = arg(), nil
    local name = known[what]
    if string.sub(what, 1, 1) == 'n' then name, rendering = string.sub(what, 2), arg() end
    if name then
      names[n] = name
      if (free[name] or 0) > 0 then
        free[name] = free[name] - 1
      else
        keep(name, rendering)
      end
    end
  end
  for name, count in pairs(free) do
    for _ = 1, count do leave(name) end
  end
  local which = names[1] and (names[2] and 'b' or 'w') or (names[2] and 'a' or 'n')
  return which .. (names[1] or '') .. (names[2] or '')
end

-- Makes all changes that are left of the arguments; returns the place of the last event.
local function apply(at)
  local last, changed = tonumber(head[2] or '0'), 0
  while place < #ARGV do
    local what = arg()
    if what == 'p' then
      local phone, epoch = arg(), arg()
      local dressed = dress(phone)
      set(phones, phone, epoch .. dressed .. arg())
      call('LPUSH', touched, phone)
      changed = changed + 1
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
  -- In parts, as Lua hands over some 8,000 arguments at most.
  for key, call_of in pairs(fields) do
    for n = 3, #call_of, 4000 do call('HSET', key, unpack(call_of, n, math.min(n + 3999, #call_of))) end
  end
  for n = 1, #emptied, 4000 do call('RPUSH', vacant, unpack(emptied, n, math.min(n + 3999, #emptied))) end
  if rev % 1024 < changed then call('LTRIM', touched, 0, 65535) end
  return last
end
