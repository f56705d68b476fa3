-- Keep the lease of a request that is still under way; one that was released stays released.
--
-- ARGV  1 now in ms   2 account id   3 fingerprint of the key   4 lease id
for _, suffix in ipairs({ '', ':' .. ARGV[3] }) do
  local leases = leases_name(ARGV[2], suffix)
  redis.call('ZADD', leases, 'XX', string.format('%.0f', tonumber(ARGV[1]) + LEASE_MS), ARGV[4])
  redis.call('PEXPIRE', leases, IDLE_MS)
end
return 1
