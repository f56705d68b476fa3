-- Keep the lease of a request that is still under way; one that was released stays released.
--
-- KEYS  1 policy of the key
-- ARGV  1 now in ms   2 account id, '' where only the policy knows it   3 fingerprint of the key   4 lease id
local account = account_of(ARGV[2], KEYS[1])
for _, suffix in ipairs({ '', ':' .. ARGV[3] }) do
  local leases = leases_name(account, suffix)
  redis.call('ZADD', leases, 'XX', string.format('%.0f', tonumber(ARGV[1]) + LEASE_MS), ARGV[4])
  redis.call('PEXPIRE', leases, IDLE_MS)
end
return 1
