-- What the limiter's scripts share; the text of this file stands in front of each of them.
--
-- Names of state are made here, from the account that the stored policy names, and so cannot be passed as KEYS.
-- Upstash runs a script under the lock of the whole database "because the engine cannot know in advance which keys
-- the script will touch", and asks for every key in KEYS only where the script sets the flag allow-key-locking:
-- never set it here. Source: upstash.com/docs/redis/commands/scripting/eval and …/docs/redis/features/key-locking.

-- A minute is the bucket under way and the twelve before it: no 60 seconds, wherever they begin, hold more than
-- the limit.
local BUCKET_MS = 5000
local BUCKETS = 13
local LEASE_MS = 60000
-- Nothing matters 65 s after its last use; an account that is idle this long leaves nothing behind.
local IDLE_MS = 600000

local function counts_name(account) return 'gw:counts:' .. account end
local function leases_name(account, suffix) return 'gw:leases:' .. account .. suffix end

local function numbers_of(text)
  local numbers = {}
  for number in string.gmatch(text or '', '%d+') do numbers[#numbers + 1] = number end
  return numbers
end

-- What is counted of a key is counted by its id: each of its secrets is another fingerprint of the same key.
local function suffix_of(key_id) return ':' .. key_id end

-- Who was not told an account and a key finds them in the policy; without one nothing was reserved.
local function owners_of(account, key_id, policy_name)
  if account ~= '' then return account, key_id end
  local policy = numbers_of(redis.call('GET', policy_name))
  return policy[1] or 'none', policy[8] or 'none'
end

-- A window is stored as "newest_bucket count count …", newest first.
local function newest_bucket(text) return tonumber(string.match(text or '', '^%d+') or '0') end

-- Read the counts by their age in buckets, 0 being `bucket` itself.
local function read_window(text, bucket)
  local window = { bucket = bucket, total = 0 }
  for age = 0, BUCKETS - 1 do window[age] = 0 end
  local age
  for number in string.gmatch(text or '', '%d+') do
    if not age then
      age = bucket - tonumber(number)
    else
      if age >= 0 and age < BUCKETS then
        window[age] = tonumber(number)
        window.total = window.total + window[age]
      end
      age = age + 1
    end
  end
  return window
end

local function write_window(window)
  local oldest = BUCKETS - 1
  while oldest > 0 and window[oldest] == 0 do oldest = oldest - 1 end
  local numbers = { string.format('%.0f', window.bucket) }
  for age = 0, oldest do numbers[age + 2] = string.format('%.0f', window[age]) end
  return table.concat(numbers, ' ')
end

local function add(window, age, amount)
  local count = math.max(0, window[age] + amount)
  window.total = window.total + count - window[age]
  window[age] = count
end

-- When the bucket of this age leaves the window.
local function leaves_in_ms(window, age, now) return (window.bucket + BUCKETS - age) * BUCKET_MS - now end

-- How long until `amount` more fits under the limit if nobody else comes; -1 is never.
local function fits_in_ms(window, limit, amount, now)
  if amount > limit then return -1 end
  local total = window.total
  local age = BUCKETS
  while total + amount > limit do
    age = age - 1
    total = total - window[age]
  end
  return leaves_in_ms(window, age, now)
end

-- How long until the window is empty.
local function empties_in_ms(window, now)
  for age = 0, BUCKETS - 1 do
    if window[age] > 0 then return leaves_in_ms(window, age, now) end
  end
  return 0
end
