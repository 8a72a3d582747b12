-- One process at a time delivers webhooks: take the lease, prolong it, or give it up.
-- KEYS: hook_lease
-- ARGV: who asks, for how long in ms (0 = give it up)
-- Result: 1 = who asks has it from now on, else 0
local holder = redis.call("GET", KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
if ARGV[2] == "0" then
  redis.call("DEL", KEYS[1])
  return 0
end
redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
return 1
