-- keys: meta phones wears holders sessions live deadlines replies ends events touched gaps new:meta new:phones new:wears new:holders new:sessions new:live new:deadlines new:touched
-- Puts what ARGV[1] has staged in the place of all there is. Events go on after ARGV[2]; ARGV[3] is the server's run,
-- ARGV[4] the format.
if call('HEXISTS', meta, 'born') == 1 then return {'begun'} end
if call('HGET', new_meta, 'owner') ~= ARGV[1] then return {'taken'} end
call('UNLINK', meta, phones, wears, holders, sessions, live, deadlines, replies, ends, events, touched, gaps)
local staged = {
  [new_phones] = phones, [new_wears] = wears, [new_holders] = holders,
  [new_sessions] = sessions, [new_live] = live, [new_deadlines] = deadlines,
}
for from, to in pairs(staged) do
  if call('EXISTS', from) == 1 then call('RENAME', from, to) end
end
call('UNLINK', new_meta, new_touched)
call('HSET', meta, 'format', ARGV[4], 'born', ARGV[1], 'seq', ARGV[2], 'run', ARGV[3])
return {'ok'}
