-- Forget what is known of keys that were changed, and mark them: what was told of one before is not kept any more.
--
-- KEYS  of each key three: its policy, the mark that it does not exist, the mark of its change
-- ARGV  1 the mark: another one for each change   2 seconds to keep it
for i = 1, #KEYS, 3 do
  redis.call('DEL', KEYS[i], KEYS[i + 1])
  redis.call('SET', KEYS[i + 2], ARGV[1], 'EX', ARGV[2])
end
return #KEYS
