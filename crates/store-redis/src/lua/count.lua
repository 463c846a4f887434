-- keys: meta live
-- How many phones have a session.
return {'ok', call('ZCARD', live)}
