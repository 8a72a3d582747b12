-- Read a value's published view, and whether it can be trusted: every partition's owner has
-- vouched for the Redis that answers.
-- KEYS: ready:{topic}  value:{name}  history:{name}
-- ARGV: "1" = with the history
-- Result: {ready (0 or 1), {released JSON, version, prev, released at in ms}, {history entry ...}}
local run_id = string.match(redis.call("INFO", "server"), "run_id:(%x+)")
local partitions = tonumber(redis.call("HGET", KEYS[1], "partitions") or "0")
local ready = partitions > 0 and 1 or 0
for partition = 0, partitions - 1 do
  if redis.call("HGET", KEYS[1], partition) ~= run_id then ready = 0 end
end
local view = redis.call("HMGET", KEYS[2], "released", "version", "prev", "released_at")
local history = ARGV[1] == "1" and redis.call("LRANGE", KEYS[3], 0, -1) or {}
return {ready, view, history}
