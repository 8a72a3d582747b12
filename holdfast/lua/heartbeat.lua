-- Check that Redis still knows what this publisher has applied; vouch for it, or withdraw.
-- A Redis that was wiped, restored or replaced has another run id: until each partition's owner
-- has vouched for this one, the origin does not trust its view.
-- KEYS: offset:{topic}:{partition}  ready:{topic}
-- ARGV: log start, position (offsets); partition; partitions of the topic; "1" = replay finished
-- Result: {"OK"}; {"REWIND", offset}
local known = tonumber(redis.call("GET", KEYS[1]) or ARGV[1])

if known < tonumber(ARGV[2]) then
  redis.call("HDEL", KEYS[2], ARGV[3])
  return {"REWIND", known}
end
if ARGV[5] == "1" then
  local run_id = string.match(redis.call("INFO", "server"), "run_id:(%x+)")
  redis.call("HSET", KEYS[2], ARGV[3], run_id, "partitions", ARGV[4])
end
return {"OK"}
