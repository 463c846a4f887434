-- keys: meta
-- A write that changes nothing, so that waiting for it waits for everything before it.
call('HSET', meta, 'barrier', '1')
return {'ok'}
