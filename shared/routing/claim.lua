-- Let one request ask a provider whose breaker is half open, and keep the others away meanwhile.
--
-- ARGV  1 now in ms   2 for how long a probe keeps others away   3 model   4 provider
-- Answers {what, record}; what is 'ask' where the breaker is closed, 'probe' where this request may ask alone, 'wait'
-- where it may not, 'unknown' where there is no record.
local now, probe_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
local name, provider = health_name(ARGV[3]), ARGV[4]

local text = redis.call('HGET', name, provider)
if not text then return { 'unknown', '' } end

local record, what = read_record(text, now), 'ask'
if record.open_until > now then
  what = 'wait'
elseif record.open_until > now - KEPT_MS then
  what = 'wait'
  if record.probe_until <= now then
    what, record.probe_until = 'probe', now + probe_ms
    redis.call('HSET', name, provider, write_record(record))
  end
end
return { what, write_record(record) }
