-- Say from where a topic is relayed: begin, add partitions, or go past records that are gone.
-- KEYS: relay:{topic}  events:{topic}  relay_keys:{topic}
-- ARGV: topic id; offsets, one of each partition, with dashes; a sequence that was used; "1" = what
--       is known belongs to another log; how its events look now (TopicRules.look); time in us
--       ("" = Redis TIME)
-- Result: {topic id, sequence, offsets}: what holds now. Offsets only grow, unless the log is another
local relay_key, wanted = KEYS[1], ARGV[2]
local state = redis.call("HMGET", relay_key, "topic_id", "seq", "offsets", "look")
local now = tonumber(ARGV[6])
if not now then
  local time = redis.call("TIME")
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end
local seq = string.format("%.0f", math.max(tonumber(state[2] or "0") + 1, tonumber(ARGV[3]) + 1, now))

if state[1] ~= ARGV[1] or ARGV[4] == "1" then
  redis.call("DEL", relay_key, KEYS[2], KEYS[3])
  -- Ids below `since` belong to a former log. A Redis that knew none has nothing to tell apart.
  redis.call("HSET", relay_key, "topic_id", ARGV[1], "seq", seq, "offsets", wanted, "seed",
    seq .. "-" .. wanted, "since", state[1] and seq or "0", "look", ARGV[5])
  return {ARGV[1], seq, wanted}
end

local offsets, place, changed = {}, 0, false
for offset in string.gmatch(state[3], "%d+") do offsets[#offsets + 1] = offset end
for offset in string.gmatch(wanted, "%d+") do
  place = place + 1
  if not offsets[place] or tonumber(offsets[place]) < tonumber(offset) then
    offsets[place], changed = offset, true
  end
end
local other_look = state[4] ~= ARGV[5]
if not changed and not other_look then return {state[1], state[2], state[3]} end
if other_look then
  -- What was hidden since must not be readable; and what had no key then may have one now.
  redis.call("DEL", KEYS[2])
  redis.call("HDEL", relay_key, "start", "events", "bytes")
end
-- A new sequence breaks the chain, and a new seed every key's: whoever has not seen what is passed
-- over is told so.
local text = table.concat(offsets, "-")
redis.call("DEL", KEYS[3])
redis.call("HSET", relay_key, "seq", seq, "offsets", text, "seed", seq .. "-" .. text, "look", ARGV[5])
return {state[1], seq, text}
