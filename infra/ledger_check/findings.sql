-- Everything that is wrong or waits for somebody, newest first within its kind; total counts what the limit cuts off.
-- Kept apart from the migrations: these readings may cost minutes on a large ledger, and no server asks for them.
with broken (what, subject) as (
    select broken.rule, broken.subject
      from jsonb_to_recordset(api.check_books()) as broken (rule text, subject text)
    union all
    select 'list cost = quantities x price, rounded up once', line.generation_id::text
      from gateway.usage_lines as line join gateway.prices as price on price.id = line.price_id
     where line.list_cost_nanos <> gateway.amount(price.price, line.quantities)
    union all
    select 'cost = list cost, or nothing where it was waived', generation_id::text
      from gateway.usage_lines
     where cost_nanos <> case when waived_reason is null then list_cost_nanos else 0 end
    union all
    select 'provider cost is at most what the quantities cost us', line.generation_id::text
      from gateway.usage_lines as line join gateway.prices as price on price.id = line.price_id
     where line.provider_cost_nanos > gateway.amount(price.cost, line.quantities)
    union all
    select 'no lot is below zero', id::text from gateway.lots where remaining_nanos < 0
),
finding (kind, what, subject, at) as (
    select 'broken_rule', what, subject, null::timestamptz from broken
    union all
    select 'stuck_hold', 'held since ' || created_at, id::text, expires_at
      from gateway.holds
     where state = 'held' and expires_at < gateway.clock() - make_interval(secs => %(grace_s)s)
    union all
    select 'dead_letter', kind || ', ' || tries || ' tries: ' || reason, subject, created_at
      from gateway.dead_letters
     where resolved_at is null
    union all
    select 'unsettled_hold', 'expired, and nobody knows what it used', hold.id::text, hold.ended_at
      from gateway.holds as hold
     where hold.state = 'expired' and not exists (select from gateway.usage_lines where generation_id = hold.id)
),
ranked as (
    select finding.*, count(*) over (partition by kind) as total,
           row_number() over (partition by kind order by at desc nulls first, what, subject) as position
      from finding
)
select kind, what, subject, at, total from ranked where position <= %(limit)s order by kind, position
