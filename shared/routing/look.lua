-- Tell what is known of those who may serve a request, and let it probe whom nobody else is probing.
--
-- ARGV  1 now in ms   2 for how long a probe keeps others away   3 how many models, then those models
--       then the providers that the request may use
-- Answers for each model a list of {provider, record, 1 where this request may probe it}.
local now, probe_ms, count = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local is_allowed = {}
for i = 4 + count, #ARGV do is_allowed[ARGV[i]] = true end

local answer = {}
for i = 4, 3 + count do
  local name, told = health_name(ARGV[i]), {}
  local fields = redis.call('HGETALL', name)
  for j = 1, #fields, 2 do
    local provider, text = fields[j], fields[j + 1]
    local record, may_probe = read_record(text), 0
    local is_half_open = record.open_until > now - KEPT_MS and record.open_until <= now
    if is_half_open and record.probe_until <= now and is_allowed[provider] then
      record.probe_until = now + probe_ms
      text, may_probe = write_record(record), 1
      redis.call('HSET', name, provider, text)
    end
    told[#told + 1] = { provider, text, may_probe }
  end
  answer[#answer + 1] = told
end
return answer
