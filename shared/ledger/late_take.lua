-- Take the records whose time has come, earliest first, and keep others from them for a while.
-- A taken record stays on the list: it comes due again at the end of its lease unless whoever took it removes it.
--
-- KEYS  1 the list: a sorted set, member the record, score the time at which it is due
-- ARGV  1 now in ms   2 lease in ms   3 most records   4 most bytes; a first record that is larger is taken alone
-- Answers the records.
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, tonumber(ARGV[3]))
local lease_ends = string.format('%.0f', tonumber(ARGV[1]) + tonumber(ARGV[2]))

local taken, bytes = {}, 0
for _, record in ipairs(due) do
  bytes = bytes + #record
  if #taken > 0 and bytes > tonumber(ARGV[4]) then
    break
  end
  redis.call('ZADD', KEYS[1], 'XX', lease_ends, record)
  taken[#taken + 1] = record
end
return taken
