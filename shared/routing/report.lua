-- Note what became of attempts, in their order.
--
-- ARGV  1 now in ms   2 failures in a row that open a breaker   3 for how long it is open   4 weight of the newest reading
--       then by fours: model, provider, what, number
-- what is 'begun' (ms to an answer's beginning), 'answered' (all of it came), 'failed', 'limited' (ms to keep away),
-- 'written' (tokens per second) or 'unprobed': a probe that says nothing.
-- Answers {model, provider, record} for each that was named.
local now, failures_to_open, open_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local weight = tonumber(ARGV[4])

local function average(previous, at, newest)
  if at == 0 or now - at > KEPT_MS then return newest end
  return previous + weight * (newest - previous)
end

local function count(provider, field)
  local name = answers_name(provider, math.floor(now / BUCKET_MS))
  redis.call('HINCRBY', name, field, 1)
  redis.call('PEXPIRE', name, (BUCKETS + 1) * BUCKET_MS)
end

-- Steps of a fourth of a doubling: a median read from them is within a tenth.
local function step_of(number) return string.format('%.0f', math.floor(4 * math.log(math.max(number, 1)) / math.log(2) + 0.5)) end

local note = {}

function note.begun(record, provider, number)
  record.probe_until, record.limited_until = 0, 0
  -- A probe that has begun lets the others in; its failures stay until an answer is whole, so that the next one shuts it.
  if record.open_until <= now then record.open_until = 0 end
  record.latency, record.latency_at = average(record.latency, record.latency_at, number), now
  count(provider, 'latency:' .. step_of(number))
end

function note.answered(record, provider)
  record.failures, record.open_until, record.probe_until, record.limited_until = 0, 0, 0, 0
  count(provider, 'answered')
end

function note.failed(record, provider)
  record.failures, record.probe_until = record.failures + 1, 0
  -- One that was under way when it opened does not keep it open for longer.
  if record.failures >= failures_to_open and record.open_until <= now then record.open_until = now + open_ms end
  count(provider, 'failed')
end

function note.limited(record, provider, number)
  record.probe_until, record.limited_until = 0, now + number
  count(provider, 'limited')
end

function note.written(record, provider, number)
  record.rate, record.rate_at = average(record.rate, record.rate_at, number), now
  count(provider, 'rate:' .. step_of(number))
end

function note.unprobed(record) record.probe_until = 0 end

local named, records = {}, {}
for i = 5, #ARGV, 4 do
  local model, provider = ARGV[i], ARGV[i + 1]
  local member = provider .. ' ' .. model
  if not records[member] then
    records[member] = read_record(redis.call('HGET', health_name(model), provider), now)
    named[#named + 1] = { model, provider }
  end
  note[ARGV[i + 2]](records[member], provider, tonumber(ARGV[i + 3]))
end

local answer = {}
for _, pair in ipairs(named) do
  local model, provider = pair[1], pair[2]
  local member = provider .. ' ' .. model
  local text = write_record(records[member])
  redis.call('HSET', health_name(model), provider, text)
  redis.call('PEXPIRE', health_name(model), IDLE_MS)
  if records[member].open_until > 0 then
    redis.call('ZADD', OPENED, string.format('%.0f', records[member].open_until), member)
    redis.call('PEXPIRE', OPENED, IDLE_MS)
  else
    redis.call('ZREM', OPENED, member)
  end
  answer[#answer + 1] = { model, provider, text }
end
redis.call('ZREMRANGEBYSCORE', OPENED, '-inf', string.format('%.0f', now - KEPT_MS))
return answer
