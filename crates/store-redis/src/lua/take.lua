-- keys: meta new:meta new:phones new:renderings new:shared new:holders new:vacant new:sessions new:live new:deadlines new:events new:touched
-- Takes it upon ARGV[1] to begin the store, for ARGV[2] milliseconds, and clears what another has left half made.
-- Returns the server's time in milliseconds; an event's place tells it to those who may not ask for it.
if call('HEXISTS', meta, 'born') == 1 then return {'begun'} end
local owner = call('HGET', new_meta, 'owner')
if owner and owner ~= ARGV[1] then return {'taken'} end
call('UNLINK', new_events)
local now = string.match(call('XADD', new_events, '*', 'a', ''), '^%d+')
call('UNLINK', new_events, new_meta, new_phones, new_renderings, new_shared, new_holders, new_vacant, new_sessions, new_live, new_deadlines, new_touched)
call('HSET', new_meta, 'owner', ARGV[1])
call('PEXPIRE', new_meta, ARGV[2])
return {'ok', now}
