-- Move a partition's next offset on, once every fold of the batch is applied.
-- KEYS: offset:{topic}:{partition}
-- ARGV: log start, first position of the batch, next offset (offsets)
-- Result: {"OK"}; {"REWIND", offset}: Redis knows less than the batch assumes
local known = tonumber(redis.call("GET", KEYS[1]) or ARGV[1])
local batch_first, next_offset = tonumber(ARGV[2]), tonumber(ARGV[3])

if known < batch_first then return {"REWIND", known} end
if known < next_offset or redis.call("EXISTS", KEYS[1]) == 0 then
  redis.call("SET", KEYS[1], ARGV[3])
end
return {"OK"}
