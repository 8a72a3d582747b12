-- Token buckets, for the scripts that begin with this file (state.py). A bucket is a hash: tokens,
-- at (us), and the rate (tokens/s) and burst by which it filled up to then.

-- Leave that many tokens in a bucket. rate, burst: as text, so that they compare equal later.
local function keep(key, tokens, rate, burst, now)
  redis.call("HSET", key, "tokens", string.format("%.9f", tokens),
    "at", string.format("%.0f", now), "rate", rate, "burst", burst)
end

-- Tokens in a bucket now; a new one is full. What filled by another rate or burst did so until now
-- and goes on by these: a change gives no token, and takes those beyond the new burst.
local function fill(key, rate, burst, now)
  local bucket = redis.call("HMGET", key, "tokens", "at", "rate", "burst")
  if not bucket[1] then return tonumber(burst) end
  local old_rate, old_burst = bucket[3] or rate, bucket[4] or burst
  local elapsed = now - tonumber(bucket[2] or now)
  -- A clock that went back earns nothing, but counts as it runs from then on.
  local back = elapsed < 0
  if back then elapsed = 0 end
  local tokens = tonumber(bucket[1]) + elapsed * tonumber(old_rate) / 1e6
  tokens = math.min(tonumber(burst), tonumber(old_burst), tokens)
  if back or old_rate ~= rate or old_burst ~= burst then keep(key, tokens, rate, burst, now) end
  return tokens
end
