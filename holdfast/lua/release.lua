-- Promote a working value to the published view, if there is something new and a token for it.
-- Begins with bucket.lua and budget.lua.
-- KEYS: value:{name}  bucket:{name}  dirty:{topic}:{partition}  released:{topic}:{partition}
--       history:{name}  offset:{topic}:{partition}  settings
--       budget:second  budget:hour  budget:queue  budget:callers
-- ARGV: name; rate (releases/s), burst (releases); threshold (units of the value), settle (us);
--       "1" = paused; rate and burst of the budget's second, then of its hour; history length; the
--       caller's position (offset), and its position in the topic of settings ("" = it reads none);
--       time in us ("" = Redis TIME)
-- Result: {"NONE"}: nothing to release, all announced; {"OWED", version}: nothing to release, but
--       that version was never announced; {"WAIT", ms}; {"PAUSED"}; {"RELEASED", version, prev, ms,
--       JSON}; {"REWIND", offset}: Redis knows less than the caller has applied, so its value is
--       too old; {"SETTINGS", position}: the caller has read other settings than Redis knows of
local value_key, bucket_key, dirty_key, settings_key = KEYS[1], KEYS[2], KEYS[3], KEYS[7]
local budget_keys = {KEYS[8], KEYS[9], KEYS[10], KEYS[11]}
local budget_limits = {ARGV[7], ARGV[8], ARGV[9], ARGV[10]}
local name, rate, burst, paused = ARGV[1], ARGV[2], ARGV[3], ARGV[6] == "1"
local threshold, settle = tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call("TIME")
local now = tonumber(ARGV[14] ~= "" and ARGV[14] or time[1] .. string.format("%06d", time[2]))

local known = tonumber(redis.call("GET", KEYS[6]) or "0")
if known < tonumber(ARGV[12]) then return {"REWIND", known} end
if ARGV[13] ~= "" then
  local read = redis.call("HGET", settings_key, "@position") or "-1"
  if read ~= ARGV[13] then return {"SETTINGS", tonumber(read)} end
end

-- First of all: a rate that changes while there is nothing to release counts from now on, too.
local tokens = fill(bucket_key, rate, burst, now)
local state = redis.call("HMGET", value_key,
  "value", "released", "version", "announced", "changed_at", "reissue")
local value, released, changed_at, reissue = state[1], state[2], state[5], state[6]
local version = tonumber(state[3] or "0")

if not value or (value == released and not reissue) then
  redis.call("HDEL", value_key, "changed_at")
  if version > tonumber(state[4] or "0") then return {"OWED", state[3]} end
  redis.call("SREM", dirty_key, name)
  return {"NONE"}
end
if paused then return {"PAUSED"} end

if threshold > 0 and not reissue and tonumber(value) and tonumber(released) then
  -- A clock that went back must not stretch the wait beyond one settle from then on.
  local held = now - tonumber(changed_at or now)
  if held <= 0 then
    held = 0
    redis.call("HSET", value_key, "changed_at", string.format("%.0f", now))
  end
  if math.abs(tonumber(value) - tonumber(released)) < threshold and held < settle then
    return {"WAIT", math.ceil((settle - held) / 1000)}
  end
end

local wait = tokens >= 1 and 0 or (1 - tokens) / tonumber(rate)
if wait == 0 then wait = await_budget(budget_keys, budget_limits, name, now) end
if wait > 0 then return {"WAIT", math.ceil(math.min(wait, 3600) * 1000)} end

keep(bucket_key, tokens - 1, rate, burst, now)
take_budget(budget_keys, budget_limits, 1, now)
local ms = math.floor(now / 1000)
-- Viewers have seen a version that a former Redis gave: the chain goes on from there.
version = math.max(version, tonumber(reissue or "0"))
local new = string.format("%.0f", math.max(version + 1, ms))
local prev, ms_text = string.format("%.0f", version), string.format("%.0f", ms)
redis.call("HSET", value_key, "released", value, "version", new, "prev", prev,
  "released_at", ms_text)
redis.call("HDEL", value_key, "changed_at", "reissue")
redis.call("SADD", dirty_key, name)
redis.call("ZADD", KEYS[4], ms_text, name)
redis.call("RPUSH", KEYS[5], new .. " " .. prev .. " " .. ms_text .. " " .. value)
redis.call("LTRIM", KEYS[5], -tonumber(ARGV[11]), -1)
return {"RELEASED", new, prev, ms_text, value}
