-- Tell what is known of those who may serve a request.
--
-- ARGV  1 now in ms   then the models
-- Answers for each model a list of {provider, record}.
local now = tonumber(ARGV[1])

local answer = {}
for i = 2, #ARGV do
  local name, told = health_name(ARGV[i]), {}
  local fields = redis.call('HGETALL', name)
  for j = 1, #fields, 2 do
    local provider, text = fields[j], fields[j + 1]
    local record, is_bounded = read_record(text, now)
    if is_bounded then
      -- Kept, or the bound would move on with each look.
      text = write_record(record)
      redis.call('HSET', name, provider, text)
    end
    told[#told + 1] = { provider, text }
  end
  answer[#answer + 1] = told
end
return answer
