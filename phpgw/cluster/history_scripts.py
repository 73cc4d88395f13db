"""The scripts that keep histories in the engine: each runs as one step.

Of each group, a stream has the messages, with their offsets as ids. A hash has the offset of the
last one, the epoch, the time for which messages are kept, and the run of the engine in which the
epoch began. Another run of the engine may have lost some of what was written last: it restarted, or
it is another server after a failover. So it begins a new epoch, and goes on counting.
"""

from phpgw.bus.interface import LuaScript

# The gateway tells the run of the engine that it knows, since to look it up takes half as long as
# all the rest.
_BEGIN = """
local function find_run(known)
    if known ~= '' then
        return known
    end
    return redis.call('INFO', 'server'):match('run_id:(%x+)') or 'unknown'
end

local function find_time()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function find_state(stream, state, run, new_epoch, keep)
    local epoch, its_run, offset, ttl = unpack(
        redis.call('HMGET', state, 'epoch', 'run', 'offset', 'ttl'))
    if not offset then
        redis.call('DEL', stream)
        redis.call('HSET', state, 'offset', 0, 'ttl', 0)
        redis.call('PEXPIRE', state, keep)
    end
    if its_run ~= run then
        epoch = new_epoch
        redis.call('HSET', state, 'epoch', epoch, 'run', run)
    end
    return epoch, tonumber(offset or 0), tonumber(ttl or 0)
end
"""

PUBLISH_KEPT = LuaScript(
    "publish_kept",
    _BEGIN
    + """
local channel, frame, message, kind, known_run, keep, new_epoch = unpack(ARGV)
local run, now = find_run(known_run), find_time()
local reply = {run}

local function append(stream, state, size, ttl)
    local epoch, offset, its_ttl = find_state(stream, state, run, new_epoch, keep)
    offset = redis.call('HINCRBY', state, 'offset', 1)
    if its_ttl ~= ttl then
        redis.call('HSET', state, 'ttl', ttl)
    end
    redis.call('XADD', stream, 'MAXLEN', size, offset .. '-1', 't', now, kind, message)
    redis.call('PEXPIRE', stream, ttl)
    redis.call('PEXPIRE', state, ttl + keep)
    return {offset, epoch}
end

for i = 1, #KEYS, 2 do
    local stream, state = KEYS[i], KEYS[i + 1]
    local is_done, position = pcall(append, stream, state, ARGV[7 + i], tonumber(ARGV[8 + i]))
    if not is_done then
        local problem = type(position) == 'table' and position.err or position
        if not problem:find('OOM', 1, true) then
            error(position)
        end
        -- Readers find another epoch. What was kept makes room.
        redis.call('DEL', stream, state)
        position = {}
    end
    table.insert(reply, position)
end
-- Channels begin as keys do, without the braces.
local prefix = KEYS[1]:match('^{(.-)}:')
table.insert(reply, redis.call('PUBLISH', prefix .. ':' .. channel, frame))
return reply
""",
)
"""Appends a message to the histories of groups, and publishes a frame.

Keys: for each group, the stream and the hash. Arguments: the channel, the frame, the message, ``b``
or ``m`` for binary or text, the known run, milliseconds for which an epoch outlives its messages, a
new epoch; then for each group, the size and the milliseconds of its rule. Returns the run; for each
group, the offset and the epoch, or nothing if the engine is full; and the number of receivers.
"""

READ_HISTORY = LuaScript(
    "read_history",
    _BEGIN
    + """
local stream, state = unpack(KEYS)
local known_run, keep, new_epoch, its_epoch = unpack(ARGV)
local after, limit, max_bytes = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local run, now = find_run(known_run), find_time()
local epoch, last, ttl = find_state(stream, state, run, new_epoch, keep)

local function offset_of(entry)
    return tonumber(entry[1]:match('%d+'))
end

-- What has expired is removed, so that nobody has to look at it again.
local oldest
repeat
    local entries = redis.call('XRANGE', stream, '-', '+', 'COUNT', 100)
    oldest = entries[1]
    for _, entry in ipairs(entries) do
        oldest = entry
        if tonumber(entry[2][2]) > now - ttl then
            break
        end
        oldest = nil
    end
    local expired = entries[#entries]
    if oldest then
        redis.call('XTRIM', stream, 'MINID', oldest[1])
    elseif expired then
        redis.call('XTRIM', stream, 'MINID', (offset_of(expired) + 1) .. '-0')
    end
until oldest or not expired
local first = oldest and offset_of(oldest) - 1 or last

local is_known = 1
local start = last
if after >= 0 then
    if its_epoch ~= epoch or after < first or after > last then
        is_known = 0
        after = first
    end
    start = after
end

local found, size = {}, 0
local position = start
repeat
    local count = math.min(16, limit - #found)
    local entries = {}
    if count > 0 and after >= 0 then
        entries = redis.call('XRANGE', stream, (position + 1) .. '-0', '+', 'COUNT', count)
    elseif count > 0 then
        entries = redis.call('XREVRANGE', stream, position .. '-1', '-', 'COUNT', count)
    end
    for _, entry in ipairs(entries) do
        local offset, fields = offset_of(entry), entry[2]
        size = size + #fields[4]
        if #found > 0 and size > max_bytes then
            entries = {}
            break
        end
        table.insert(found, {offset, fields[3], fields[4]})
        position = after >= 0 and offset or offset - 1
    end
until #entries == 0
return {run, epoch, last, is_known, start, found}
""",
)
"""Reads the history of a group.

Keys: the stream and the hash. Arguments: the known run, milliseconds for which an epoch outlives
its messages, a new epoch, the epoch and the offset of the position, the limit, and how many bytes
all messages may have. With the offset -1, the last messages are read, the newest first. Returns the
run, the epoch, the last offset, whether the position is known, the offset behind which the messages
begin, and the messages: each its offset, ``b`` or ``m``, and itself.
"""
