-- keys: probe
-- Calls every command that the other scripts call, on a key that nobody else has; names those that are refused.
local calls = {
  {'HSET', probe, 'a', '1'}, {'HGET', probe, 'a'}, {'HMGET', probe, 'a'}, {'HEXISTS', probe, 'a'},
  {'HINCRBY', probe, 'a', 1}, {'HDEL', probe, 'a'}, {'ZADD', probe, 1, 'a'}, {'ZRANGE', probe, 0, 0},
  {'ZRANGEBYSCORE', probe, '-inf', '+inf'}, {'ZRANGEBYLEX', probe, '-', '+'},
  {'ZREMRANGEBYSCORE', probe, '-inf', '+inf'}, {'ZREM', probe, 'a'}, {'LPUSH', probe, 'a'}, {'RPUSH', probe, 'a'},
  {'LRANGE', probe, 0, 0}, {'LLEN', probe}, {'LTRIM', probe, 1, 0}, {'XADD', probe, '1-0', 'a', 'b'},
  {'XRANGE', probe, '-', '+'}, {'XREVRANGE', probe, '+', '-'}, {'XTRIM', probe, 'MINID', '=', '2'},
  {'TYPE', probe}, {'EXISTS', probe}, {'RENAME', probe, probe}, {'PEXPIRE', probe, 1}, {'UNLINK', probe},
}
local refused = {}
for _, command in ipairs(calls) do
  local answer = redis.pcall(unpack(command))
  local problem = type(answer) == 'table' and answer['err']
  if problem and (string.find(problem, 'NOPERM', 1, true) or string.find(problem, "can't run this command", 1, true)
    or string.find(problem, 'ACL failure', 1, true) or string.find(problem, 'no permissions', 1, true)) then
    refused[#refused + 1] = string.lower(command[1])
  end
end
return {'ok', refused}
