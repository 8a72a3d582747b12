-- Promote a working value to the published view, if there is something new and a token for it.
-- KEYS: value:{name}  bucket:{name}  budget  dirty:{topic}:{partition}
--       released:{topic}:{partition}  history:{name}  offset:{topic}:{partition}
-- ARGV: name; rate (releases/s), burst (releases), used where the bucket sets none of its own;
--       threshold (units of the value), settle (us); budget rate (releases/s, 0 = unlimited),
--       budget burst; history length; the caller's position (offset); time in us ("" = Redis TIME)
-- Result: {"NONE"}: nothing to release, all announced; {"OWED", version}: nothing to release, but
--       that version was never announced; {"WAIT", ms}; {"RELEASED", version, prev, ms, JSON};
--       {"REWIND", offset}: Redis knows less than the caller has applied, so its value is too old
local value_key, bucket_key, budget_key = KEYS[1], KEYS[2], KEYS[3]
local name, threshold, settle = ARGV[1], tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call("TIME")
local now = tonumber(ARGV[10] ~= "" and ARGV[10] or time[1] .. string.format("%06d", time[2]))

local known = tonumber(redis.call("GET", KEYS[7]) or "0")
if known < tonumber(ARGV[9]) then return {"REWIND", known} end

local state = redis.call("HMGET", value_key,
  "value", "released", "version", "announced", "changed_at", "reissue")
local value, released, changed_at, reissue = state[1], state[2], state[5], state[6]
local version = tonumber(state[3] or "0")

if not value or (value == released and not reissue) then
  redis.call("HDEL", value_key, "changed_at")
  if version > tonumber(state[4] or "0") then return {"OWED", state[3]} end
  redis.call("SREM", KEYS[4], name)
  return {"NONE"}
end

local at = string.format("%.0f", now)
if threshold > 0 and not reissue and tonumber(value) and tonumber(released) then
  -- A clock that went back must not stretch the wait beyond one settle from then on.
  local held = now - tonumber(changed_at or now)
  if held <= 0 then
    held = 0
    redis.call("HSET", value_key, "changed_at", at)
  end
  if math.abs(tonumber(value) - tonumber(released)) < threshold and held < settle then
    return {"WAIT", math.ceil((settle - held) / 1000)}
  end
end

-- Tokens in a bucket now. A clock that went back earns none, but counts as it runs from then on.
local function fill(key, default_rate, default_burst)
  local bucket = redis.call("HMGET", key, "tokens", "at", "rate", "burst")
  local rate = tonumber(bucket[3] or default_rate)
  local burst = tonumber(bucket[4] or default_burst)
  local elapsed = now - tonumber(bucket[2] or now)
  if elapsed < 0 then
    elapsed = 0
    redis.call("HSET", key, "at", at)
  end
  local tokens = math.min(burst, tonumber(bucket[1] or burst) + elapsed * rate / 1e6)
  return tokens, rate
end

local tokens, rate = fill(bucket_key, ARGV[2], ARGV[3])
local wait = tokens >= 1 and 0 or (1 - tokens) / rate
local budget, budget_rate = fill(budget_key, ARGV[6], ARGV[7])
if budget_rate > 0 and budget < 1 then wait = math.max(wait, (1 - budget) / budget_rate) end
if wait > 0 then return {"WAIT", math.ceil(math.min(wait, 3600) * 1000)} end

redis.call("HSET", bucket_key, "tokens", string.format("%.9f", tokens - 1), "at", at)
if budget_rate > 0 then
  redis.call("HSET", budget_key, "tokens", string.format("%.9f", budget - 1), "at", at)
end

local ms = math.floor(now / 1000)
-- Viewers have seen a version that a former Redis gave: the chain goes on from there.
version = math.max(version, tonumber(reissue or "0"))
local new = string.format("%.0f", math.max(version + 1, ms))
local prev, ms_text = string.format("%.0f", version), string.format("%.0f", ms)
redis.call("HSET", value_key, "released", value, "version", new, "prev", prev,
  "released_at", ms_text)
redis.call("HDEL", value_key, "changed_at", "reissue")
redis.call("SADD", KEYS[4], name)
redis.call("ZADD", KEYS[5], ms_text, name)
redis.call("RPUSH", KEYS[6], new .. " " .. prev .. " " .. ms_text .. " " .. value)
redis.call("LTRIM", KEYS[6], -tonumber(ARGV[8]), -1)
return {"RELEASED", new, prev, ms_text, value}
