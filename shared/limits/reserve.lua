-- Let one request through or refuse it: look up the policy, check every limit, then commit to all of them.
-- A refusal writes nothing but the policy that admission has just told.
--
-- KEYS  1 policy of the key   2 mark of a key that does not exist   3 window of the network address
--       4 mark of the key's last change, which is there for as long as somebody may have asked before it
-- ARGV  1 now in ms   2 lease id, '' for a request that is over at once   3 tokens to reserve
--       4 unseen keys per minute of one address   5 policy if admission has just told it, else ''   6 seconds to keep it
--       7 the mark as it was before admission was asked: a policy is kept only if nothing has changed since
--       8 requests to count: 0 for one that was counted when something was looked up for it, else 1
-- A policy is eight numbers: account id, then requests, tokens, concurrency of the account, then those of the key, key id.
-- Answers  {'reserved', account id, key id, bucket, state}   {'unseen', mark of the last change or ''}   {'unknown'}
--          {'refused', 'key' | 'account' | 'address', 'requests' | 'tokens' | 'concurrency', limit, retry ms or -1, state}
-- state is limit, remaining, reset in ms of requests, then of tokens, of whichever has less remaining; limit 0 is none.
local now, lease, tokens, requests = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[8])
-- A lease says only that a request is under way; nobody knows when it ends.
local CONCURRENCY_RETRY_MS = 1000

-- An instance whose clock is behind does not turn time back.
local function not_before(text) now = math.max(now, newest_bucket(text) * BUCKET_MS) end

local function mark_of_change() return redis.call('GET', KEYS[4]) or '' end

local function answer_unseen()
  if redis.call('EXISTS', KEYS[2]) == 1 then return { 'unknown' } end
  local text, limit = redis.call('GET', KEYS[3]), tonumber(ARGV[4])
  not_before(text)
  local window = read_window(text, math.floor(now / BUCKET_MS))
  if window.total + 1 > limit then
    return { 'refused', 'address', 'requests', limit, fits_in_ms(window, limit, 1, now), 0, 0, 0, 0, 0, 0 }
  end
  add(window, 0, 1)
  redis.call('SET', KEYS[3], write_window(window), 'PX', IDLE_MS)
  return { 'unseen', mark_of_change() }
end

local function read_subjects(policy)
  local account, key_suffix = policy[1], suffix_of(policy[8])
  local function subject(name, suffix, first)
    return {
      name = name,
      suffix = suffix,
      requests_limit = tonumber(policy[first]),
      tokens_limit = tonumber(policy[first + 1]),
      concurrency = tonumber(policy[first + 2]),
    }
  end
  local subjects = { subject('account', '', 2), subject('key', key_suffix, 5) }
  local texts = redis.call('HMGET', counts_name(account), 'requests', 'tokens', 'requests' .. key_suffix, 'tokens' .. key_suffix)
  for i = 1, 4 do not_before(texts[i]) end
  local bucket = math.floor(now / BUCKET_MS)
  for i, subject in ipairs(subjects) do
    subject.requests = read_window(texts[2 * i - 1], bucket)
    subject.tokens = read_window(texts[2 * i], bucket)
    subject.leases = leases_name(account, subject.suffix)
  end
  return subjects, bucket
end

-- The limit that takes longest to fit is the one to name; one that never fits comes before all.
local function find_excess(subjects)
  local worst
  local function note(subject, measure, limit, retry)
    local is_worse = not worst or (worst.retry >= 0 and (retry < 0 or retry > worst.retry))
    if is_worse then worst = { name = subject.name, measure = measure, limit = limit, retry = retry } end
  end
  for _, s in ipairs(subjects) do
    if requests > 0 and s.requests_limit > 0 and s.requests.total + 1 > s.requests_limit then
      note(s, 'requests', s.requests_limit, fits_in_ms(s.requests, s.requests_limit, 1, now))
    end
    -- Who asks for none is not kept waiting for tokens: a balance can be read when they are used up.
    if tokens > 0 and s.tokens_limit > 0 and s.tokens.total + tokens > s.tokens_limit then
      note(s, 'tokens', s.tokens_limit, fits_in_ms(s.tokens, s.tokens_limit, tokens, now))
    end
    local open = lease ~= '' and s.concurrency > 0 and redis.call('ZCOUNT', s.leases, string.format('(%.0f', now), '+inf')
    if open and open + 1 > s.concurrency then
      note(s, 'concurrency', s.concurrency, CONCURRENCY_RETRY_MS)
    end
  end
  return worst
end

local function commit(account, subjects)
  local fields = {}
  for _, s in ipairs(subjects) do
    add(s.requests, 0, requests)
    add(s.tokens, 0, tokens)
    fields[#fields + 1] = 'requests' .. s.suffix
    fields[#fields + 1] = write_window(s.requests)
    fields[#fields + 1] = 'tokens' .. s.suffix
    fields[#fields + 1] = write_window(s.tokens)
    if lease ~= '' then
      redis.call('ZREMRANGEBYSCORE', s.leases, '-inf', string.format('%.0f', now))
      redis.call('ZADD', s.leases, string.format('%.0f', now + LEASE_MS), lease)
      redis.call('PEXPIRE', s.leases, IDLE_MS)
    end
  end
  redis.call('HSET', counts_name(account), unpack(fields))
  redis.call('PEXPIRE', counts_name(account), IDLE_MS)
end

local function with_state(answer, subjects)
  for _, measure in ipairs({ 'requests', 'tokens' }) do
    local limit, remaining, reset = 0, 0, 0
    for _, s in ipairs(subjects) do
      local own = s[measure .. '_limit']
      local left = math.max(0, own - s[measure].total)
      if own > 0 and (limit == 0 or left < remaining) then
        limit, remaining, reset = own, left, empties_in_ms(s[measure], now)
      end
    end
    answer[#answer + 1] = limit
    answer[#answer + 1] = remaining
    answer[#answer + 1] = reset
  end
  return answer
end

if ARGV[5] ~= '' and mark_of_change() == ARGV[7] then redis.call('SET', KEYS[1], ARGV[5], 'EX', ARGV[6]) end
local policy = numbers_of(ARGV[5] ~= '' and ARGV[5] or redis.call('GET', KEYS[1]) or '')
if #policy ~= 8 then return answer_unseen() end

local subjects, bucket = read_subjects(policy)
local excess = find_excess(subjects)
if excess then
  return with_state({ 'refused', excess.name, excess.measure, excess.limit, excess.retry }, subjects)
end
commit(policy[1], subjects)
return with_state({ 'reserved', tonumber(policy[1]), tonumber(policy[8]), bucket }, subjects)
