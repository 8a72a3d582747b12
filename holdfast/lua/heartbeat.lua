-- Check that Redis still knows what this publisher has applied; vouch for it, or withdraw.
-- A Redis that was wiped, restored or replaced has another run id: until each partition's owner
-- has vouched for this one, the origin does not trust its view.
-- KEYS: offset:{topic}:{partition}  ready:{topic}
-- ARGV: log start, position (offsets); partition; partitions of the topic; "1" = replay finished;
--       the run id of the last heartbeat, "" = none
-- Result: {"OK", run id}; {"REWIND", run id, offset}: start again from there
local known = tonumber(redis.call("GET", KEYS[1]) or ARGV[1])
local run_id = string.match(redis.call("INFO", "server"), "run_id:(%x+)")

-- Another run may have lost releases although it knows every offset.
if known < tonumber(ARGV[2]) or (ARGV[6] ~= "" and ARGV[6] ~= run_id) then
  redis.call("HDEL", KEYS[2], ARGV[3])
  return {"REWIND", run_id, known}
end
if ARGV[5] == "1" then redis.call("HSET", KEYS[2], ARGV[3], run_id, "partitions", ARGV[4]) end
return {"OK", run_id}
