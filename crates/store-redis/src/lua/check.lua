-- keys: meta phones renderings shared holders vacant sessions live deadlines replies ends events touched gaps new:meta new:phones new:renderings new:shared new:holders new:vacant new:sessions new:live new:deadlines new:touched
-- The type of each key, and the format of what is there.
local types = {}
for n, key in ipairs(KEYS) do types[n] = call('TYPE', key)['ok'] end
local format = false
if types[1] == 'hash' then format = call('HGET', meta, 'format') end
return {'ok', types, format}
