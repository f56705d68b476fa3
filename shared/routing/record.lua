-- What health's scripts share; the text of this file stands in front of each of them.
--
-- Names of state are made here, as the limiter's are; why, and why Upstash lets them, is said in shared/limits/window.lua.
-- Times are ms since the epoch by the instances' clocks, latencies ms to an answer's beginning, rates tokens per second.

-- Who has not been asked for so long is asked anew: averages begin again, and a breaker that nobody has probed is closed.
local KEPT_MS = 600000
-- A model that nobody asks for an hour leaves nothing behind.
local IDLE_MS = 3600000
local BUCKET_MS = 300000
local BUCKETS = 13

-- By provider; the order in which a record's text has them.
local FIELDS = {
  'failures', 'open_until', 'probe_until', 'limited_until', 'latency', 'latency_at', 'rate', 'rate_at', 'failed_at',
}
-- How far ahead a record's times may be: an instance whose clock is ahead shuts nobody out for longer than any other.
local LONGEST_MS = {
  open_until = 30000, probe_until = 30000, limited_until = 60000, latency_at = 0, rate_at = 0, failed_at = 0,
}
-- The breakers that are not closed: "<provider> <model>" by the time until which they are open.
local OPENED = 'gw:health-opened'

local function health_name(model) return 'gw:health:' .. model end
-- How a provider answered in five minutes, whatever the model.
local function answers_name(provider, bucket) return string.format('gw:answers:%s:%.0f', provider, bucket) end

-- Returns the record, and whether one of its times was further ahead than it may be.
local function read_record(text, now)
  local record, is_bounded, i = {}, false, 0
  for _, field in ipairs(FIELDS) do record[field] = 0 end
  for number in string.gmatch(text or '', '[%d.]+') do
    i = i + 1
    if FIELDS[i] then record[FIELDS[i]] = tonumber(number) or 0 end
  end
  for field, longest_ms in pairs(LONGEST_MS) do
    if record[field] > now + longest_ms then
      record[field], is_bounded = now + longest_ms, true
    end
  end
  return record, is_bounded
end

local function write_record(record)
  local texts = {}
  for i, field in ipairs(FIELDS) do
    texts[i] = string.format((field == 'latency' or field == 'rate') and '%.1f' or '%.0f', record[field])
  end
  return table.concat(texts, ' ')
end
