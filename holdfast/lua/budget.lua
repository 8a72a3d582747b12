-- The purge budget, for scripts that begin with bucket.lua and this file: a bucket for the second,
-- one for the hour, and a queue. Values that want a key wait in it in the order in which they came,
-- over all publishers, so that none gets a second before another's first.
-- keys: the buckets of the second and of the hour; budget:queue (sorted set: names by place);
--       budget:callers (sorted set: names by when they have to ask again, us)
-- limits: rate and burst of the second's bucket, then of the hour's; a rate of 0 = no limit
local LONGEST_US, GRACE_US = 1000000, 1000000

-- How long (s) `name` has to wait for a key. 0: it has one; take_budget must follow.
local function await_budget(keys, limits, name, now)
  local tokens, filled = math.huge, {}
  for i = 1, 2 do
    if tonumber(limits[2 * i - 1]) > 0 then
      filled[i] = fill(keys[i], limits[2 * i - 1], limits[2 * i], now)
      tokens = math.min(tokens, filled[i])
    end
  end
  if tokens == math.huge then return 0 end

  -- Who did not come back when it had to keeps nobody waiting: it changed back, or its publisher
  -- died. Nor does who promised to by a clock that has gone back since.
  local latest = now + 2 * (LONGEST_US + GRACE_US)
  for _, gone in ipairs({{"-inf", now}, {latest + 1, "+inf"}}) do
    for _, other in ipairs(redis.call("ZRANGEBYSCORE", keys[4], gone[1], gone[2])) do
      redis.call("ZREM", keys[3], other)
      redis.call("ZREM", keys[4], other)
    end
  end

  local place = redis.call("ZRANK", keys[3], name)
  local ahead = place or redis.call("ZCARD", keys[3])
  if tokens >= ahead + 1 then
    if place then
      redis.call("ZREM", keys[3], name)
      redis.call("ZREM", keys[4], name)
    end
    return 0
  end
  if not place then
    local last = redis.call("ZRANGE", keys[3], -1, -1, "WITHSCORES")
    redis.call("ZADD", keys[3], string.format("%.0f", math.max(now, tonumber(last[2] or 0) + 1)), name)
  end
  local wait_us = 0
  for i, full in pairs(filled) do
    wait_us = math.max(wait_us, (ahead + 1 - full) / tonumber(limits[2 * i - 1]) * 1e6)
  end
  -- At least once a second: those ahead may leave.
  wait_us = math.min(wait_us, LONGEST_US)
  redis.call("ZADD", keys[4], string.format("%.0f", now + wait_us + GRACE_US), name)
  return wait_us / 1e6
end

-- Pay for `count` purged keys. Debts are kept up to one burst.
local function take_budget(keys, limits, count, now)
  for i = 1, 2 do
    local rate, burst = limits[2 * i - 1], limits[2 * i]
    if tonumber(rate) > 0 then
      local tokens = fill(keys[i], rate, burst, now) - count
      keep(keys[i], math.max(tokens, -tonumber(burst)), rate, burst, now)
    end
  end
end
