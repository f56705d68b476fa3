-- Put a record on the list, alone or in the place of another that is still there.
-- Whoever replaces a record that someone has settled and removed meanwhile puts nothing back.
--
-- KEYS  1 the list: a sorted set, member the record, score the time at which it is due
-- ARGV  1 when it is due, in ms   2 the record   3 most records   4 the record to replace, '' for none
-- Answers 1 when the record is on the list, 0 when the other was gone, -1 when the list is full.
if ARGV[4] ~= '' then
  if redis.call('ZREM', KEYS[1], ARGV[4]) == 0 then
    return 0
  end
elseif redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then
  return -1
end
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
return 1
