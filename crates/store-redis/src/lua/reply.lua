-- keys: meta replies
-- The reply to the request ARGV[2], or nothing.
return {'ok', call('HGET', replies, ARGV[2])}
