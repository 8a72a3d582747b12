-- Fold one batch's updates of one value into its working value, exactly once.
-- KEYS: offset:{topic}:{partition}  value:{name}  dirty:{topic}:{partition}
-- ARGV: name; applied field; log start, first position of the batch, first and next offset of the
--       fold (offsets); "single" when the fold is one record, else "";
--       then "add", up, down, rest (int64: the prefix maximum, from there to the prefix minimum,
--       from there to the total), or "set", JSON, stamp ("<record ms> <partition> <offset>");
--       last, the time in us ("" = Redis TIME)
-- Result: {"APPLIED"}; {"REPLAY"}: nothing new; {"REWIND", offset}: Redis knows less than the
--       batch assumes; {"PARTIAL", offset}: fold again from there; {"OVERFLOW"}: a sum would leave
--       64 bits, apply record by record; {"REJECTED"}: this single record would
local offset_key, value_key, dirty_key = KEYS[1], KEYS[2], KEYS[3]
local name, applied_field = ARGV[1], ARGV[2]
local log_start, batch_first = ARGV[3], tonumber(ARGV[4])
local first, next_offset, single = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7] == "single"

local known = redis.call("GET", offset_key) or log_start
if tonumber(known) < batch_first then return {"REWIND", tonumber(known)} end
local applied = tonumber(redis.call("HGET", value_key, applied_field) or "-1")
if applied >= next_offset then return {"REPLAY"} end
if applied > first then return {"PARTIAL", applied} end

local function stamp_of(text)
  local at, partition, offset = string.match(text, "^(%-?%d+) (%d+) (%d+)$")
  return {tonumber(at), tonumber(partition), tonumber(offset)}
end

local function newer(stamp, than)
  if not than then return true end
  local a, b = stamp_of(stamp), stamp_of(than)
  for i = 1, 3 do
    if a[i] ~= b[i] then return a[i] > b[i] end
  end
  return false
end

if ARGV[8] == "add" then
  -- HINCRBY, not Lua numbers: those are doubles and lose integers beyond 2^53.
  for step = 9, 11 do
    local reply = redis.pcall("HINCRBY", value_key, "value", ARGV[step])
    if type(reply) == "table" and reply.err then
      for undo = step - 1, 9, -1 do
        local back = ARGV[undo]:sub(1, 1) == "-" and ARGV[undo]:sub(2) or "-" .. ARGV[undo]
        -- HINCRBY takes "-0" for no number at all.
        if back ~= "-0" then redis.call("HINCRBY", value_key, "value", back) end
      end
      if not single then return {"OVERFLOW"} end
      redis.call("HSET", value_key, applied_field, ARGV[6])
      return {"REJECTED"}
    end
  end
elseif newer(ARGV[10], redis.call("HGET", value_key, "stamp")) then
  redis.call("HSET", value_key, "value", ARGV[9], "stamp", ARGV[10])
end

local now = ARGV[#ARGV]
if now == "" then
  local time = redis.call("TIME")
  now = time[1] .. string.format("%06d", time[2])
end
redis.call("HSETNX", value_key, "changed_at", now)
redis.call("HSET", value_key, applied_field, ARGV[6])
redis.call("SADD", dirty_key, name)
return {"APPLIED"}
