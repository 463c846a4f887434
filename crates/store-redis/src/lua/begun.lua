-- keys: meta
-- Whether the store is begun at all.
return {'ok', call('HEXISTS', meta, 'born')}
