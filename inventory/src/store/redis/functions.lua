#!lua name=atlvs_log_v1

-- Compares heads and writes; holds no rules. All keys of an event are in one slot.
-- A changed function gets a new version in its name and in the library's, so that old and new nodes
-- live together.

local function id(seq)
  return string.format('%.0f-0', seq)
end

local function head(key, genesis)
  local stored = redis.call('HMGET', key, 'seq', 'hash')
  return tonumber(stored[1] or 0), stored[2] or genesis
end

-- Hash of a stored entry; nil when it is trimmed. Fields stand in the order h, hash, e, JSON.
local function hash_at(log, seq)
  local found = redis.call('XRANGE', log, id(seq), id(seq))
  return found[1] and found[1][2][2]
end

-- Keys: log, head, vault. Arguments: expected seq, expected hash, genesis, most entries of a reply,
-- count, then hash and JSON of each entry, then order and key of each data key.
local function append(keys, args)
  local expected, count = tonumber(args[1]), tonumber(args[5])
  local seq, hash = head(keys[2], args[3])
  local skip = seq - expected
  if skip < 0 then
    return { 'behind', seq, hash }
  end
  -- Is the log's end a place inside the batch (or just before it)?
  local ours = args[2]
  if skip > 0 then
    ours = skip <= count and args[4 + 2 * skip]
  end
  if hash ~= ours then
    if skip > count and count > 0 and hash_at(keys[1], expected + count) == args[4 + 2 * count] then
      return { 'done' }
    end
    -- Before the first entry there is none to compare with, but the first itself must not be trimmed.
    local joins = expected == 0 and hash_at(keys[1], 1)
      or expected > 0 and hash_at(keys[1], expected) == args[2]
    if skip > 0 and joins then
      return { 'lost', redis.call('XRANGE', keys[1], '(' .. id(expected), '+', 'COUNT', args[4]) }
    end
    return { 'forked', seq, hash }
  end
  if skip == count then
    return { 'done' }
  end
  for n = skip + 1, count do
    redis.call('XADD', keys[1], id(expected + n), 'h', args[4 + 2 * n], 'e', args[5 + 2 * n])
  end
  for n = 6 + 2 * count, #args, 2 do
    -- An empty key says that it was erased, for good.
    if redis.call('HGET', keys[3], args[n]) ~= '' then
      redis.call('HSET', keys[3], args[n], args[n + 1])
    end
  end
  redis.call('HSET', keys[2], 'seq', string.format('%.0f', expected + count), 'hash', args[4 + 2 * count])
  return { 'done' }
end

-- Keys: log, head, snapshot. Arguments: seq, hash, bytes.
local function snapshot(keys, args)
  local seq = tonumber(args[1])
  if seq <= tonumber(redis.call('HGET', keys[3], 'seq') or 0) then
    return 'older'
  end
  local last, hash = head(keys[2], '')
  if seq ~= last then
    hash = seq < last and hash_at(keys[1], seq)
  end
  if hash ~= args[2] then
    return 'astray'
  end
  redis.call('HSET', keys[3], 'seq', args[1], 'hash', args[2], 'bytes', args[3])
  return 'kept'
end

-- Keys: log, snapshot. Argument: through. The entry at the cut stays: later appends compare with it.
local function trim(keys, args)
  local through = math.min(tonumber(args[1]), tonumber(redis.call('HGET', keys[2], 'seq') or 0))
  if through > 0 then
    redis.call('XTRIM', keys[1], 'MINID', id(through))
  end
  return through
end

redis.register_function('atlvs_append_v1', append)
redis.register_function('atlvs_snapshot_v1', snapshot)
redis.register_function('atlvs_trim_v1', trim)
