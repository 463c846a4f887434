-- keys: meta phones wears sessions
-- The phone that holds the session ARGV[2], as four values; nothing where none does.
local phone = call('HGET', sessions, ARGV[2])
if not phone then return {'ok', {}} end
local worn = call('HMGET', wears, phone, phone .. ':after')
return {'ok', {phone, call('HGET', phones, phone), worn[1], worn[2]}}
