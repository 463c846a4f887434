-- keys: meta events gaps
-- At most ARGV[4] events from the place ARGV[3] on, which is the one after ARGV[2]; the place of the last event; the
-- place of the oldest that is kept, or nothing; and the gap that ends after ARGV[2], as its beginning and its end.
local oldest = call('XRANGE', events, '-', '+', 'COUNT', 1)
return {
  'ok',
  head[2] or '0',
  oldest[1] and oldest[1][1] or '',
  call('ZRANGEBYSCORE', gaps, '(' .. ARGV[2], '+inf', 'WITHSCORES', 'LIMIT', 0, 1),
  call('XRANGE', events, ARGV[3], '+', 'COUNT', ARGV[4]),
}
