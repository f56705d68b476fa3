-- Keep the lease of a request that is still under way; one that was released stays released.
--
-- KEYS  1 policy of the key
-- ARGV  1 now in ms   2 account id, '' where only the policy knows it   3 key id, likewise   4 lease id
local account, key_id = owners_of(ARGV[2], ARGV[3], KEYS[1])
for _, suffix in ipairs({ '', suffix_of(key_id) }) do
  local leases = leases_name(account, suffix)
  redis.call('ZADD', leases, 'XX', string.format('%.0f', tonumber(ARGV[1]) + LEASE_MS), ARGV[4])
  redis.call('PEXPIRE', leases, IDLE_MS)
end
return 1
