-- keys: meta deadlines
-- Phones whose deadline is at or before the score ARGV[2], at most ARGV[3], the earliest first.
return {'ok', call('ZRANGEBYSCORE', deadlines, '-inf', ARGV[2], 'LIMIT', 0, ARGV[3])}
