-- keys: meta replies
-- The reply to the request ARGV[2], or nothing, and of which history it is.
return {'ok', call('HGET', replies, ARGV[2]), head[6] or ''}
