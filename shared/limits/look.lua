-- Tell how much of each limit is used, and count nothing.
--
-- KEYS  1 policy of the key
-- ARGV  1 now in ms   2 policy where none is stored
-- Answers sixteen numbers: of the account, then of the key, limit, used and reset in ms of requests, the same of tokens,
-- limit and used of requests at once; limit 0 is none.
local now = tonumber(ARGV[1])
local policy = numbers_of(redis.call('GET', KEYS[1]) or '')
if #policy ~= 8 then policy = numbers_of(ARGV[2]) end

local account, key_suffix = policy[1], suffix_of(policy[8])
local answer = {}
local texts = redis.call('HMGET', counts_name(account), 'requests', 'tokens', 'requests' .. key_suffix, 'tokens' .. key_suffix)
-- As whoever counts has it: an instance whose clock is behind does not turn time back.
for i = 1, 4 do now = math.max(now, newest_bucket(texts[i]) * BUCKET_MS) end
for i, suffix in ipairs({ '', key_suffix }) do
  for j = 0, 1 do
    local window = read_window(texts[2 * i - 1 + j], math.floor(now / BUCKET_MS))
    answer[#answer + 1] = tonumber(policy[3 * i - 1 + j])
    answer[#answer + 1] = window.total
    answer[#answer + 1] = empties_in_ms(window, now)
  end
  answer[#answer + 1] = tonumber(policy[3 * i + 1])
  answer[#answer + 1] = redis.call('ZCOUNT', leases_name(account, suffix), string.format('(%.0f', now), '+inf')
end
return answer
