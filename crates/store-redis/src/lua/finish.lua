-- keys: meta phones renderings shared holders vacant sessions live deadlines replies ends events touched gaps new:meta new:phones new:renderings new:shared new:holders new:vacant new:sessions new:live new:deadlines new:touched
-- Puts what ARGV[1] has staged in the place of all there is. Events go on after ARGV[2]; ARGV[3] is the server's run,
-- ARGV[4] the format, ARGV[5] the floor of epochs and of versions of guards.
if call('HEXISTS', meta, 'born') == 1 then return {'begun'} end
if call('HGET', new_meta, 'owner') ~= ARGV[1] then return {'taken'} end
call('UNLINK', meta, phones, renderings, shared, holders, vacant, sessions, live, deadlines, replies, ends, events, touched, gaps)
local staged = {
  [new_phones] = phones, [new_renderings] = renderings, [new_shared] = shared, [new_holders] = holders,
  [new_sessions] = sessions, [new_live] = live, [new_deadlines] = deadlines,
}
for from, to in pairs(staged) do
  if call('EXISTS', from) == 1 then call('RENAME', from, to) end
end
call('UNLINK', new_meta, new_vacant, new_touched)
call(
  'HSET', meta, 'format', ARGV[4], 'born', ARGV[1], 'seq', ARGV[2], 'run', '1:' .. ARGV[3],
  'guards', ARGV[5], 'epochs', ARGV[5]
)
return {'ok'}
