-- Note what became of attempts, in their order.
--
-- ARGV  1 now in ms   2 failures in a row that open a breaker   3 for how long it is open   4 weight of the newest reading
--       5 how long before the last failure an answer was asked for that says nothing any more
--       then by fives: model, provider, what, number, when it was asked for
-- what is 'begun' (ms to an answer's beginning), 'answered' (all of it came), 'failed', 'limited' (ms to keep away),
-- 'written' (tokens per second), 'unprobed': a probe that says nothing, or 'opened': an instance knows it to be open (until).
-- Answers {model, provider, record} for each that was named.
local now, failures_to_open, open_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local weight, long_before_ms = tonumber(ARGV[4]), tonumber(ARGV[5])

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

local function opened_at(record) return record.open_until - open_ms end

function note.begun(record, provider, number, asked)
  -- A probe that has begun lets the others in; its failures stay until an answer is whole, so that the next one shuts it.
  if record.open_until <= now and asked >= opened_at(record) then record.open_until, record.probe_until = 0, 0 end
  record.latency, record.latency_at = average(record.latency, record.latency_at, number), now
  count(provider, 'latency:' .. step_of(number))
end

function note.answered(record, provider, _, asked)
  if asked >= math.max(opened_at(record), record.failed_at - long_before_ms) then
    record.failures, record.open_until, record.probe_until = 0, 0, 0
  end
  count(provider, 'answered')
end

function note.failed(record, provider)
  record.failures, record.probe_until = record.failures + 1, 0
  -- One that was under way when it opened does not keep it open for longer.
  if record.failures >= failures_to_open and record.open_until <= now then record.open_until = now + open_ms end
  record.failed_at = now
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

-- Counts nothing, so that it may be said again.
function note.opened(record, _, number)
  if number <= now then return end
  record.failures = math.max(record.failures, failures_to_open)
  record.open_until, record.failed_at = math.max(record.open_until, number), math.max(record.failed_at, number - open_ms)
end

local named, records = {}, {}
for i = 6, #ARGV, 5 do
  local model, provider = ARGV[i], ARGV[i + 1]
  local member = provider .. ' ' .. model
  if not records[member] then
    records[member] = read_record(redis.call('HGET', health_name(model), provider), now)
    named[#named + 1] = { model, provider }
  end
  note[ARGV[i + 2]](records[member], provider, tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4]))
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
