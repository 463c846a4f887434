-- keys: meta gaps
-- What a process does first on each server that it comes to: ARGV[1] is the last place it knows, ARGV[2] the server's
-- run, ARGV[3] by how much places jump. On another run than before, events may be missing that somebody has seen:
-- the places they had are never given again, and stand in a gap; and what was read before and is read now may not
-- belong together. Returns who began the store, if anybody did.
local known = call('HMGET', meta, 'born', 'seq', 'run')
if not known[1] then return {'ok', false} end
local seq, seen = tonumber(known[2] or '0'), tonumber(ARGV[1])
local turn, run = string.match(known[3] or '0:', '^(%d+):(.*)$')
if run ~= ARGV[2] or seen > seq then
  local to = string.format('%.0f', math.max(seq, seen) + tonumber(ARGV[3]))
  call('ZADD', gaps, to, string.format('%.0f', seq))
  call('HSET', meta, 'seq', to, 'run', string.format('%.0f:%s', tonumber(turn) + 1, ARGV[2]))
end
return {'ok', known[1]}
