-- Let Redis know what operators have set, as one publisher has read it in Kafka. From then on
-- release.lua takes nothing from a publisher that has read less, or more.
-- KEYS: settings
-- ARGV: topic id, position (the offset after the last record that was read); then key and record
--       (JSON) of each setting
-- Result: the position that Redis is at now
local state = redis.call("HMGET", KEYS[1], "@topic_id", "@position")
if state[1] == ARGV[1] and tonumber(state[2]) >= tonumber(ARGV[2]) then
  return tonumber(state[2])
end
redis.call("DEL", KEYS[1])
redis.call("HSET", KEYS[1], "@topic_id", ARGV[1], "@position", ARGV[2])
for i = 3, #ARGV, 2 do redis.call("HSET", KEYS[1], ARGV[i], ARGV[i + 1]) end
return tonumber(ARGV[2])
