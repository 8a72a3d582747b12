-- Read how far a topic is relayed, where a key's chain stands, and a part of its stream, at once.
-- KEYS: relay:{topic}  events:{topic}  relay_keys:{topic}
-- ARGV: sequence, exclusive, from which the stream is wanted ("" = nothing of it); bytes that are
--       enough; key ("" = none)
-- Result: nil: nothing is known of the topic; else {topic id, sequence, offsets, since, id of the
--       key's chain, {{entry id, {field, value ...}} ...}}
local state = redis.call("HMGET", KEYS[1], "topic_id", "seq", "offsets", "since", "seed")
if not state[1] then return false end
local entries, bytes, from = {}, 0, ARGV[1]
while from ~= "" and bytes < tonumber(ARGV[2]) do
  local found = redis.call("XRANGE", KEYS[2], "(" .. from, "+", "COUNT", 8)
  from = ""
  for _, entry in ipairs(found) do
    entries[#entries + 1], from = entry, entry[1]
    bytes = bytes + #entry[2][10]
  end
end
local key_id = ARGV[3] ~= "" and redis.call("HGET", KEYS[3], ARGV[3]) or state[5]
return {state[1], state[2], state[3], state[4], key_id, entries}
