-- keys: meta
-- A write that changes nothing, so that waiting for it waits for everything before it, in the history ARGV[2]. Returns the
-- place of the last event.
if ARGV[2] ~= (head[6] or '') then return {'moved'} end
call('HSET', meta, 'barrier', '1')
return {'ok', head[2] or '0'}
