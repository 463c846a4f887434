-- keys: meta
-- The place of the last event.
return {'ok', head[2] or '0'}
