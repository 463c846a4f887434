-- keys: meta new:meta new:phones new:wears new:holders new:sessions new:live new:deadlines new:touched
-- Takes it upon ARGV[1] to begin the store, for ARGV[2] milliseconds, and clears what another has left half made.
if call('HEXISTS', meta, 'born') == 1 then return {'begun'} end
local owner = call('HGET', new_meta, 'owner')
if owner and owner ~= ARGV[1] then return {'taken'} end
call('UNLINK', new_meta, new_phones, new_wears, new_holders, new_sessions, new_live, new_deadlines, new_touched)
call('HSET', new_meta, 'owner', ARGV[1])
call('PEXPIRE', new_meta, ARGV[2])
return {'ok'}
