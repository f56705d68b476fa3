-- Tell how providers did in the last hour, which breakers are not closed, and what is known of one model.
--
-- ARGV  1 now in ms   2 model, '' for none   then the providers
-- Answers {of each provider the counts of each five minutes as field, number, …}, {"<provider> <model>", open until, …},
-- {provider, record, …} of the model.
local now = tonumber(ARGV[1])
local newest = math.floor(now / BUCKET_MS)

local counts = {}
for i = 3, #ARGV do
  local fields = {}
  for age = 0, BUCKETS - 1 do
    for _, text in ipairs(redis.call('HGETALL', answers_name(ARGV[i], newest - age))) do fields[#fields + 1] = text end
  end
  counts[#counts + 1] = fields
end
local opened = redis.call('ZRANGEBYSCORE', OPENED, string.format('(%.0f', now - KEPT_MS), '+inf', 'WITHSCORES', 'LIMIT', 0, 1000)
return { counts, opened, ARGV[2] == '' and {} or redis.call('HGETALL', health_name(ARGV[2])) }
