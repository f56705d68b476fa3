-- End a request: its lease goes, and what it reserved becomes what it used, in the bucket where it was reserved.
-- Whoever finds no lease changes nothing, so a second release is harmless.
--
-- KEYS  1 policy of the key
-- ARGV  1 account id, '' where only the policy knows it   2 key id, likewise   3 lease id
--       4 bucket of the reservation   5 tokens reserved   6 tokens used
-- Answers how many of the two leases were there.
local account, key_id = owners_of(ARGV[1], ARGV[2], KEYS[1])
local lease, bucket = ARGV[3], tonumber(ARGV[4])
local difference = tonumber(ARGV[6]) - tonumber(ARGV[5])

local released = 0
for _, suffix in ipairs({ '', suffix_of(key_id) }) do
  if redis.call('ZREM', leases_name(account, suffix), lease) == 1 then
    released = released + 1
    local field = 'tokens' .. suffix
    local text = redis.call('HGET', counts_name(account), field)
    local window = read_window(text, newest_bucket(text))
    local age = window.bucket - bucket
    if difference ~= 0 and age >= 0 and age < BUCKETS then
      add(window, age, difference)
      redis.call('HSET', counts_name(account), field, write_window(window))
    end
  end
end
return released
