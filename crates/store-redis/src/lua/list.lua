-- keys: meta phones renderings live
-- At most ARGV[3] phones with a session from the place ARGV[2] on, as four values each; the place of the last event,
-- the number of changes so far, and of which history they are.
local names = call('ZRANGEBYLEX', live, ARGV[2], '+', 'LIMIT', 0, ARGV[3])
return {'ok', read(names), head[2] or '0', head[3] or '0', head[6] or ''}
