-- Read how far a topic is relayed, where a key's chain stands, and a part of its stream, at once.
-- KEYS: relay:{topic}  events:{topic}  relay_keys:{topic}
-- ARGV: sequence: the stream is wanted from the entry on that holds it ("" = nothing of it); bytes
--       that are enough; key ("" = none); offsets that were seen ("" = none): entries with nothing
--       else are passed over, and do not count
-- Result: nil: nothing is known of the topic; else {topic id, sequence, offsets, since, id of the
--       key's chain, {{entry id, {field, value ...}} ...}}
local state = redis.call("HMGET", KEYS[1], "topic_id", "seq", "offsets", "since", "seed")
if not state[1] then return false end
local seen = {}
for offset in string.gmatch(ARGV[4], "%d+") do seen[#seen + 1] = tonumber(offset) end
local entries, enough, bytes, passed, from = {}, tonumber(ARGV[2]), 0, 0, ""
if ARGV[1] ~= "" then
  local holding = redis.call("XREVRANGE", KEYS[2], ARGV[1], "-", "COUNT", 1)
  from = holding[1] and holding[1][1] or "-"
end
-- Redis does nothing else meanwhile: whoever's seen events are further apart reads on from Kafka.
while from ~= "" and bytes < enough and passed <= 32 * enough do
  local found = redis.call("XRANGE", KEYS[2], from, "+", "COUNT", 8)
  from = ""
  for _, entry in ipairs(found) do
    local fields = entry[2]
    local partition, next_offset, size = tonumber(fields[2]), tonumber(fields[6]), #fields[10]
    from = "(" .. entry[1]
    if (seen[partition + 1] or 0) < next_offset then
      entries[#entries + 1], bytes = entry, bytes + size
    else
      passed = passed + size
    end
  end
end
local key_id = ARGV[3] ~= "" and redis.call("HGET", KEYS[3], ARGV[3]) or state[5]
return {state[1], state[2], state[3], state[4], key_id, entries}
