-- Append events of one partition to its topic's stream and number them, exactly once.
-- KEYS: relay:{topic}  events:{topic}  relay_keys:{topic}
-- ARGV: topic id; partition; the caller's position, next offset (offsets); number of events; the
--       events (as holdfast/relay_state.py packs them); a sequence that was used; events and bytes to
--       keep; keys to keep; time in us ("" = Redis TIME); how the events look (TopicRules.look); then
--       of each key: key, number of its last event in this batch (from 0), offset after that
-- Result: {"APPENDED", first sequence, sequence before, offsets before, id before of each key ...};
--       {"REPLAY", offset}: appended up to there; {"REWIND", offset}: Redis knows less than the
--       caller assumes; {"UNKNOWN"}: Redis does not know this topic, or not with this look
local relay_key, events_key, keys_key, payload = KEYS[1], KEYS[2], KEYS[3], ARGV[6]
local partition, position, count = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[5])
local state = redis.call("HMGET", relay_key, "topic_id", "seq", "offsets", "start", "events", "bytes", "seed", "look")
if state[1] ~= ARGV[1] or state[8] ~= ARGV[12] then return {"UNKNOWN"} end

local offsets = {}
for offset in string.gmatch(state[3], "%d+") do offsets[#offsets + 1] = offset end
local known = tonumber(offsets[partition + 1])
if not known then return {"UNKNOWN"} end
if known < position then return {"REWIND", known} end
if known > position then return {"REPLAY", known} end

local now = tonumber(ARGV[11])
if not now then
  local time = redis.call("TIME")
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end
local first = math.max(tonumber(state[2]) + 1, tonumber(ARGV[7]) + 1, now)
local function id(sequence, offset)
  offsets[partition + 1] = offset
  return string.format("%.0f-", sequence) .. table.concat(offsets, "-")
end

redis.call("XADD", events_key, string.format("%.0f-0", first),
  "partition", ARGV[2], "offsets", state[3], "next", ARGV[4], "count", ARGV[5], "events", payload)
-- Two generations are kept: when the newer is full, the older goes, at a constant price.
local start, events = state[4] or string.format("%.0f", first), (tonumber(state[5]) or 0) + count
local bytes = (tonumber(state[6]) or 0) + #payload
if events > tonumber(ARGV[8]) or bytes > tonumber(ARGV[9]) then
  redis.call("XTRIM", events_key, "MINID", start)
  start, events, bytes = string.format("%.0f", first), count, #payload
end

local result = {"APPENDED", string.format("%.0f", first), state[2], state[3]}
local seed = state[7]
if #ARGV > 12 and redis.call("HLEN", keys_key) > tonumber(ARGV[10]) then
  -- Whose keys are forgotten are told by an id that nobody has.
  redis.call("DEL", keys_key)
  seed = state[2] .. "-" .. state[3]
end
for i = 13, #ARGV, 3 do
  result[#result + 1] = redis.call("HGET", keys_key, ARGV[i]) or seed
  redis.call("HSET", keys_key, ARGV[i], id(first + tonumber(ARGV[i + 1]), ARGV[i + 2]))
end
offsets[partition + 1] = ARGV[4]
redis.call("HSET", relay_key, "seq", string.format("%.0f", first + count - 1), "offsets",
  table.concat(offsets, "-"), "start", start, "events", events, "bytes", bytes, "seed", seed)
return result
