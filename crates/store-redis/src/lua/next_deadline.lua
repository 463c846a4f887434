-- keys: meta deadlines
-- The earliest deadline, after the phone that has it; nothing where there is none.
return {'ok', call('ZRANGE', deadlines, 0, 0, 'WITHSCORES')}
