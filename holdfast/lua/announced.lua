-- Note that a version was announced: attempted on every node.
-- KEYS: value:{name}  dirty:{topic}:{partition}
-- ARGV: name, version
-- Result: 1 when nothing is left to do for the value, 0 when something is
local state = redis.call("HMGET", KEYS[1], "value", "released", "version", "announced", "reissue")
local version = tonumber(ARGV[2])

-- A Redis that was wiped or rolled back since knows no such version: note nothing.
if version > tonumber(state[3] or "0") then return 0 end
if version > tonumber(state[4] or "0") then
  redis.call("HSET", KEYS[1], "announced", ARGV[2])
end
if version ~= tonumber(state[3]) or state[1] ~= state[2] or state[5] then return 0 end
redis.call("SREM", KEYS[2], ARGV[1])
return 1
