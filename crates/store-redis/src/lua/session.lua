-- keys: meta phones renderings sessions
-- The phone that holds the session ARGV[2], as four values; nothing where none does.
local phone = call('HGET', sessions, ARGV[2])
return {'ok', phone and read({phone}) or {}}
