-- Pay for keys that are purged whatever the budget says: again, or on an operator's word.
-- KEYS: budget:second  budget:hour  budget:queue  budget:callers
-- ARGV: keys; rate and burst of the second's bucket, then of the hour's; time in us ("" = Redis TIME)
-- Result: 1
local time = redis.call("TIME")
local now = tonumber(ARGV[6] ~= "" and ARGV[6] or time[1] .. string.format("%06d", time[2]))
take_budget(KEYS, {ARGV[2], ARGV[3], ARGV[4], ARGV[5]}, tonumber(ARGV[1]), now)
return 1
