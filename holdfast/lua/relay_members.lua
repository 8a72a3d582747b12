-- Say that a relay is alive, and learn which are: who owns a partition follows from that.
-- KEYS: relay_members
-- ARGV: name of the caller; lease, ms (0 = it leaves); time in ms ("" = Redis TIME)
-- Result: the names of all that said so within their lease, sorted
local now = tonumber(ARGV[3])
if not now then
  local time = redis.call("TIME")
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
if ARGV[2] == "0" then
  redis.call("ZREM", KEYS[1], ARGV[1])
else
  redis.call("ZADD", KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
end
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", now)
local names = redis.call("ZRANGE", KEYS[1], 0, -1)
table.sort(names)
return names
