-- Apply one batch's updates of one value one by one, because some carry an idempotency key: an
-- update whose key was seen less than 24 h of record time before is a duplicate.
-- KEYS: offset:{topic}:{partition}  value:{name}  dirty:{topic}:{partition}  keys:{name}
-- ARGV: name; applied field; partition; log start, first position of the batch (offsets); the most
--       keys to remember; "add" or "set"; the time in us ("" = Redis TIME); then of each record:
--       offset, timestamp (ms), the key's digest ("" = no key), change (int64, or JSON)
-- Result: {"APPLIED", duplicates, offset ...}: the offsets of sums that would have left 64 bits;
--       {"REWIND", offset}: Redis knows less than the batch assumes
local offset_key, value_key, dirty_key, keys_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local name, applied_field, partition = ARGV[1], ARGV[2], ARGV[3]
local log_start, batch_first, most = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local sum, now, first_record = ARGV[7] == "add", ARGV[8], 9
local DAY_MS, HOUR_MS = 86400000, 3600000

local known = redis.call("GET", offset_key) or log_start
if tonumber(known) < batch_first then return {"REWIND", tonumber(known)} end
local applied = tonumber(redis.call("HGET", value_key, applied_field) or "-1")
local remembered = redis.call("ZCARD", keys_key)
local result, duplicates, counted, newest_key_at = {"APPLIED", 0}, 0, 0, nil

local function later(at, offset, than)
  if not than then return true end
  local a, p, o = string.match(than, "^(%-?%d+) (%d+) (%d+)$")
  a, p, o = tonumber(a), tonumber(p), tonumber(o)
  if at ~= a then return at > a end
  if tonumber(partition) ~= p then return tonumber(partition) > p end
  return offset > o
end

-- Whether the key was seen; if not, it is from now on. The oldest gives way where there are too
-- many: one by one, so that a replay in other batches decides the same.
local function seen(digest, at)
  local before = redis.call("ZSCORE", keys_key, digest)
  if before and at - tonumber(before) < DAY_MS then return true end
  remembered = remembered + redis.call("ZADD", keys_key, at, digest)
  if remembered > most then
    redis.call("ZPOPMIN", keys_key)
    remembered = remembered - 1
  end
  newest_key_at = math.max(newest_key_at or at, at)
  return false
end

for i = first_record, #ARGV, 4 do
  local offset, at, digest, change = tonumber(ARGV[i]), tonumber(ARGV[i + 1]), ARGV[i + 2], ARGV[i + 3]
  if offset >= applied then
    if digest ~= "" and seen(digest, at) then
      duplicates = duplicates + 1
    elseif sum then
      -- HINCRBY, not Lua numbers: those are doubles and lose integers beyond 2^53.
      local reply = redis.pcall("HINCRBY", value_key, "value", change)
      if type(reply) == "table" and reply.err then result[#result + 1] = offset end
      counted = counted + 1
    else
      if later(at, offset, redis.call("HGET", value_key, "stamp")) then
        local stamp = ARGV[i + 1] .. " " .. partition .. " " .. ARGV[i]
        redis.call("HSET", value_key, "value", change, "stamp", stamp)
      end
      counted = counted + 1
    end
  end
end

-- An hour more than is asked for: producers' clocks may differ by that much (Kafka refuses more).
if newest_key_at then
  local horizon = string.format("%.0f", newest_key_at - DAY_MS - HOUR_MS)
  redis.call("ZREMRANGEBYSCORE", keys_key, "-inf", horizon)
end
local next_offset = tonumber(ARGV[#ARGV - 3]) + 1
if next_offset > applied then
  redis.call("HSET", value_key, applied_field, string.format("%.0f", next_offset))
end
if counted > 0 then
  if now == "" then
    local time = redis.call("TIME")
    now = time[1] .. string.format("%06d", time[2])
  end
  redis.call("HSETNX", value_key, "changed_at", now)
  redis.call("SADD", dirty_key, name)
end
result[2] = duplicates
return result
