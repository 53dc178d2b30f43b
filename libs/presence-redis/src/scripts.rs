//! What Redis does in one step. Every script touches keys of one cell alone; those that are not among its
//! `KEYS` carry the same hash tag.

use std::sync::LazyLock;

use redis::Script;

/// Connections that one script handles: the server does nothing else meanwhile.
pub(crate) const AT_ONCE: usize = 200;

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub(crate) static $name: LazyLock<Source> = LazyLock::new(|| Source::new($text));)*
    };
}

/// A script and the name under which a server that has seen it knows it.
pub(crate) struct Source {
    pub text: &'static str,
    pub hash: String,
}

impl Source {
    fn new(text: &'static str) -> Self {
        Self { text, hash: Script::new(text).get_hash().to_owned() }
    }
}

scripts! {
    /// connections, index, noted, shown; field, device, connection, owner, weight, keep, user -> 1: the user's
    /// first, or they are not shown to be online
    REGISTER = "
local first = redis.call('EXISTS', KEYS[1]) == 0
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
if redis.call('HSETNX', KEYS[2], ARGV[3], ARGV[4]) == 1 then
  redis.call('HINCRBY', KEYS[2], '#', ARGV[5])
end
if redis.call('PTTL', KEYS[2]) < 0 then redis.call('PEXPIRE', KEYS[2], ARGV[6]) end
if not first and redis.call('EXISTS', KEYS[4]) == 1 then return 0 end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[3], time[1] * 1000000 + time[2], ARGV[7])
redis.call('PEXPIRE', KEYS[3], ARGV[6])
return 1";

    /// connections, index, watching, noted; field, connection, user, keep -> {the note if it was the user's last, whom
    /// it watched}
    UNREGISTER = "
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return {0, {}} end
local owner = redis.call('HGET', KEYS[2], ARGV[2])
if owner then
  redis.call('HDEL', KEYS[2], ARGV[2])
  redis.call('HINCRBY', KEYS[2], '#', '-' .. string.match(owner, '^%d+'))
  if redis.call('HLEN', KEYS[2]) == 1 then redis.call('DEL', KEYS[2]) end
end
local watched = redis.call('SMEMBERS', KEYS[3])
redis.call('DEL', KEYS[3])
if redis.call('EXISTS', KEYS[1]) == 1 then return {0, watched} end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
redis.call('ZADD', KEYS[4], now, ARGV[3])
redis.call('PEXPIRE', KEYS[4], ARGV[4])
return {now, watched}";

    /// index, watching; connection, keep, users -> {0} not registered, {1, whom it watched before}
    WATCH = "
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return {0} end
local before = redis.call('SMEMBERS', KEYS[2])
redis.call('DEL', KEYS[2])
for i = 3, #ARGV do redis.call('SADD', KEYS[2], ARGV[i]) end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return {1, before}";

    /// noted, shown, connections; user -> {the note, 1: shown, the fields of the connections}
    LOOK = "
return {redis.call('ZSCORE', KEYS[1], ARGV[1]) or '0', redis.call('EXISTS', KEYS[2]), redis.call('HKEYS', KEYS[3])}";

    /// shown, version, telling, noted; keep, user, version that was told, 1: online, 0: offline, again: as it is shown,
    /// noted -> {the version of the change, 0: it is none, 1: online}. Versions are µs, and grow also where the one
    /// before was lost.
    SHOW = "
local function is(key, number)
  local score = redis.call('ZSCORE', key, ARGV[2])
  return score and tonumber(score) == tonumber(number)
end
local online = redis.call('EXISTS', KEYS[1])
local same = is(KEYS[3], ARGV[3])
if ARGV[4] == 'again' then
  if not same then return {0, online} end
else
  if same then redis.call('ZREM', KEYS[3], ARGV[2]) end
  if is(KEYS[4], ARGV[5]) then redis.call('ZREM', KEYS[4], ARGV[2]) end
  local was = online
  online = tonumber(ARGV[4])
  if online == 1 then
    redis.call('SET', KEYS[1], 1, 'PX', ARGV[1])
  else
    redis.call('DEL', KEYS[1])
  end
  if was == online then return {0, online} end
end
local time = redis.call('TIME')
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
local version = string.format('%.0f', math.max(last + 1, time[1] * 1000000 + time[2]))
redis.call('SET', KEYS[2], version, 'PX', ARGV[1])
redis.call('ZADD', KEYS[3], version, ARGV[2])
redis.call('PEXPIRE', KEYS[3], ARGV[1])
return {tonumber(version), online}";

    /// index, noted; prefix, tag, gateway, how many, keep -> {1: more are left, the note, users gone offline by it,
    /// [connection, watched user]...}
    DROP = "
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local found = redis.call('HSCAN', KEYS[1], 0, 'COUNT', ARGV[4])[2]
local offline, watched = {}, {}
for i = 1, #found, 2 do
  local connection, owner = found[i], found[i + 1]
  if connection ~= '#' then
    local weight, tenant, user = string.match(owner, '^(%d+)/([^/]*)/(.*)$')
    local key = ARGV[1] .. ':' .. tenant .. ':' .. ARGV[2] .. ':u:' .. user
    if redis.call('HDEL', key, ARGV[3] .. ':' .. connection) == 1 and redis.call('EXISTS', key) == 0 then
      offline[#offline + 1] = tenant .. '/' .. user
      redis.call('ZADD', KEYS[2], now, tenant .. '/' .. user)
      redis.call('PEXPIRE', KEYS[2], ARGV[5])
    end
    local watching = ARGV[1] .. ':@:' .. ARGV[2] .. ':c:' .. ARGV[3] .. ':' .. connection
    for _, target in ipairs(redis.call('SMEMBERS', watching)) do
      watched[#watched + 1] = connection
      watched[#watched + 1] = target
    end
    redis.call('DEL', watching)
    redis.call('HDEL', KEYS[1], connection)
    redis.call('HINCRBY', KEYS[1], '#', '-' .. weight)
  end
end
local left = redis.call('HLEN', KEYS[1])
if left <= 1 then redis.call('DEL', KEYS[1]) end
return {left > 1 and 1 or 0, now, offline, watched}";

    /// telling; user, version
    TOLD = "
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if score and tonumber(score) == tonumber(ARGV[2]) then redis.call('ZREM', KEYS[1], ARGV[1]) end
return 0";

    /// noted, telling; for, how many -> {now, [user, noted]..., [user, version]...}, those of longer than so many ms
    /// ago; in µs. Also those of as far ahead: of a server whose clock was, before this one took over from it.
    UNTOLD = "
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local before = string.format('%.0f', now - ARGV[1] * 1000)
local ahead = string.format('(%.0f', now + ARGV[1] * 1000)
local function old(key)
  local found = redis.call('ZRANGEBYSCORE', key, '-inf', before, 'WITHSCORES', 'LIMIT', 0, ARGV[2])
  for _, part in ipairs(redis.call('ZRANGEBYSCORE', key, ahead, '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])) do
    found[#found + 1] = part
  end
  return found
end
return {now, old(KEYS[1]), old(KEYS[2])}";

    /// index; prefix, tag, gateway, keep, cursor, how many -> {cursor of the next step, users that those
    /// connections watch}. They live `keep` again; the index too, when all of it was seen.
    TOUCH = "
local step = redis.call('HSCAN', KEYS[1], ARGV[5], 'COUNT', ARGV[6])
local found = step[2]
local watched, seen = {}, {}
for i = 1, #found, 2 do
  if found[i] ~= '#' then
    local tenant, user = string.match(found[i + 1], '^%d+/([^/]*)/(.*)$')
    local base = ARGV[1] .. ':' .. tenant .. ':' .. ARGV[2]
    redis.call('PEXPIRE', base .. ':u:' .. user, ARGV[4])
    redis.call('PEXPIRE', base .. ':s:' .. user, ARGV[4])
    local watching = ARGV[1] .. ':@:' .. ARGV[2] .. ':c:' .. ARGV[3] .. ':' .. found[i]
    if redis.call('PEXPIRE', watching, ARGV[4]) == 1 then
      for _, target in ipairs(redis.call('SMEMBERS', watching)) do
        if not seen[target] then
          seen[target] = true
          watched[#watched + 1] = target
        end
      end
    end
  end
end
if step[1] == '0' then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return {step[1], watched}";
}
