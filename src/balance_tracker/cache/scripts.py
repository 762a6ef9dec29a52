"""What Redis does at one go, in Lua. Ages are by the server's own clock, so no two machines need to agree.

A value is set with a time to live, and its age is that time less what is left of it. A lock is a key
with the token of its holder; ``!`` in its place says that a load ended without a value to share.
"""

LOOK = """
local keep, ttl, have = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local left = redis.call('PTTL', KEYS[1])
local age = -1
if left > 0 then age = math.max(0, keep - left) end
if age >= 0 and age < ttl then return {'fresh', age, redis.call('GET', KEYS[1])} end
local stale = false
if age >= 0 and (have < 0 or age < have) then stale = redis.call('GET', KEYS[1]) end
local holder = redis.call('GET', KEYS[2])
if not holder or (holder == '!' and ARGV[6] == '0') then
  redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[5])
  return {'load', age, stale}
end
if holder == '!' then return {'alone', age, stale} end
return {'wait', age, stale}
"""
"""Keys: value, lock. Arguments: how long values are kept, the age that is still fresh, the age of what
the asker has (-1: nothing), its token, how long a lock holds, whether it has waited (1 or 0); times in ms.

Gives ``fresh``, ``load`` (the lock is taken), ``wait`` or ``alone`` (load without a lock), and the value's
age and the value where it is fresh, or stale and younger than what the asker has.
"""

_BOUNDED = """
local function note(index, name, keep)
  local now = tonumber(redis.call('TIME')[1])
  redis.call('ZADD', index, now, name)
  redis.call('PEXPIRE', index, keep)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', now - keep / 1000)
end
local function bound(index, most)
  local over = redis.call('ZCARD', index) - most
  if over <= 0 then return end
  for i, name in ipairs(redis.call('ZPOPMIN', index, math.min(over, 500))) do
    if i % 2 == 1 then redis.call('DEL', name) end
  end
end
"""
"""An index of the values by when they were stored, so that the oldest make room for new ones."""

STORE = f"""{_BOUNDED}
local keep, took = tonumber(ARGV[2]), tonumber(ARGV[3])
local left = redis.call('PTTL', KEYS[1])
if left <= 0 or keep - left >= took then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', keep - tonumber(ARGV[5]))
  note(KEYS[3], KEYS[1], keep)
  bound(KEYS[3], tonumber(ARGV[6]))
end
if redis.call('GET', KEYS[2]) == ARGV[4] then redis.call('DEL', KEYS[2]) end
"""
"""Keys: value, lock, index. Arguments: the value, how long it is kept, how long its load took, the token, its
age, how many values there may be; times in ms. What was stored while it was loaded is younger in what it
knows, and stays."""

RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return end
if ARGV[2] == '1' then redis.call('SET', KEYS[1], '!', 'PX', ARGV[3]) else redis.call('DEL', KEYS[1]) end
"""
"""Key: lock. Arguments: the token, whether the load failed (1 or 0), how long that is told in ms."""

EXTEND = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
"""
"""Key: lock. Arguments: the token, how long it holds from now on, in ms."""

TAKE = """
local units, period, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local counted = tonumber(ARGV[5])
local epoch = redis.call('GET', KEYS[2])
if not epoch then
  epoch = ARGV[4]
  redis.call('SET', KEYS[2], epoch)
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local owed = 0
local kept = redis.call('GET', KEYS[1])
if kept then
  local debt, at = string.match(kept, '^(%d+):(%d+)$')
  if debt then owed = math.max(0, tonumber(debt) - math.max(0, now - tonumber(at)) * units) end
end
local most = units * period
local allowed = 0
if owed + cost * period <= most or (cost + counted > units and owed <= counted * period) then
  allowed = 1
  owed = owed + cost * period
  local lasts = math.ceil(owed / units / 1000) + 1000
  redis.call('SET', KEYS[1], string.format('%.0f:%.0f', owed, now), 'PX', lasts)
end
return {allowed, string.format('%.0f', owed), epoch}
"""
"""Keys: what a subject owes, the epoch. Arguments: units, period in microseconds, cost, an epoch in case
there is none, what the same request has cost before.

What is owed is counted in units x microseconds, all of them integers: a unit of work adds the period,
a microsecond takes away ``units``. Gives whether it is let through, what is owed then, and the epoch.
"""

READ = """
local found = {}
for i, key in ipairs(KEYS) do
  local value = redis.call('GET', key)
  found[i] = {value, redis.call('PTTL', key)}
end
return found
"""
"""Keys: values. Gives each with what is left of its time to live in ms, or false."""

CLAIM = """
local mine = {}
for i, key in ipairs(KEYS) do
  if redis.call('SET', key, ARGV[1], 'NX', 'PX', ARGV[2]) then mine[i] = 1 else mine[i] = 0 end
end
return mine
"""
"""Keys: locks. Arguments: the token, how long locks hold in ms. Gives whether each was taken, 1 or 0."""

SHOW = f"""{_BOUNDED}
local half, index = (#KEYS - 1) / 2, KEYS[#KEYS]
for i = 1, half do
  if ARGV[i + 3] ~= '' then
    redis.call('SET', KEYS[i], ARGV[i + 3], 'PX', ARGV[2])
    note(index, KEYS[i], tonumber(ARGV[2]))
  end
  if redis.call('GET', KEYS[half + i]) == ARGV[1] then redis.call('DEL', KEYS[half + i]) end
end
bound(index, tonumber(ARGV[3]))
"""
"""Keys: values, then their locks, then the index. Arguments: the token, how long values are kept in ms, how
many there may be, then the values, empty where there is none to show: then only the lock goes."""
