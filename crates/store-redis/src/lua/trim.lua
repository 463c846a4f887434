-- keys: meta holders vacant replies ends events gaps
-- Forgets replies that ended at ARGV[2] (as a score, ARGV[3]) or before, events before ARGV[4] up to the place ARGV[5],
-- and holders without phones, ARGV[6] of each at most. Returns whether there may be more.
local most, more = tonumber(ARGV[6]), 0
local ended = 0
for _, request in ipairs(call('ZRANGEBYSCORE', ends, '-inf', ARGV[3], 'LIMIT', 0, most)) do
  local reply = call('HGET', replies, request)
  if not reply or string.sub(reply, 1, #ARGV[2]) <= ARGV[2] then
    call('HDEL', replies, request)
    call('ZREM', ends, request)
    ended = ended + 1
  end
end
if ended == most then more = 1 end

-- A holder that is forgotten is at the floor from then on: at what it was, or beyond.
local left = call('LRANGE', vacant, 0, most - 1)
if #left > 0 then
  local floor, gone = tonumber(head[4] or '0'), {}
  for n, known in ipairs(call('HMGET', holders, unpack(left))) do
    local version = string.match(known or '', '^(%d+);$')
    if version then
      floor = math.max(floor, tonumber(version))
      gone[#gone + 1] = left[n]
    end
  end
  if #gone > 0 then
    call('HDEL', holders, unpack(gone))
    call('HSET', meta, 'guards', string.format('%.0f', floor))
  end
  call('LTRIM', vacant, #left, -1)
  if #left == most then more = 1 end
end

local last = call('XREVRANGE', events, '+', '-', 'COUNT', 1)[1]
if not last then return {'ok', more} end
local oldest = call('XRANGE', events, '-', '+', 'COUNT', most + 1)
local kept
for n, event in ipairs(oldest) do
  local seq = tonumber(string.match(event[1], '^%d+'))
  kept = event[1]
  if n > most then more = 1 end
  if n > most or event[2][2] >= ARGV[4] or seq > tonumber(ARGV[5]) then break end
end
if kept ~= oldest[1][1] then
  call('XTRIM', events, 'MINID', '=', kept)
  call('ZREMRANGEBYSCORE', gaps, '-inf', '(' .. string.match(kept, '^%d+'))
end
return {'ok', more}
