
-- Phones of a store that is being begun, beside those that are there, by the one who is at it.
if call('HGET', meta, 'owner') ~= ARGV[1] then return {'taken'} end
call('PEXPIRE', meta, arg())
apply('')
return {'ok'}
