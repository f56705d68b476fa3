-- What is sold: plans with their prices and allowances, the terms of bought credit, and which plan an account is on.

alter table gateway.plans
    add column description text not null default '',
    add column monthly_price_cents int not null default 0 check (monthly_price_cents between 0 and 99999999),
    add column yearly_price_cents int not null default 0 check (yearly_price_cents between 0 and 99999999),
    add column monthly_allowance_nanos bigint not null default 0 check (monthly_allowance_nanos between 0 and 1000000000000000),
    add column features text[] not null default '{}' check (array_position(features, null) is null),
    add column rank int not null default 0,
    add column is_offered boolean not null default false;
comment on column gateway.plans.monthly_price_cents is 'US cents a month, tax apart; 0: not to be had for a month. Of yearly_price_cents the same.';
comment on column gateway.plans.monthly_allowance_nanos is 'Credit that comes with each month that is paid for, and goes with it. What was sold keeps the one it was sold with.';
comment on column gateway.plans.rank is 'The order of plans: to a higher one is an upgrade.';
comment on column gateway.plans.is_offered is 'Shown, and sold to whoever asks. One that is not stays what it is for those who have it.';
create unique index plans_by_rank on gateway.plans (rank) where is_offered;

-- A store that was seeded before has the first two; what an operator made of their limits stays, and so does a plan of his own.
insert into gateway.plans (id, name, description, requests_per_minute, tokens_per_minute, concurrency,
                           requests_per_day, tokens_per_day, requests_per_month, tokens_per_month,
                           monthly_price_cents, yearly_price_cents, monthly_allowance_nanos, features, rank, is_offered)
values ('free', 'Free', 'For trying things out.', 20, 200000, 4, 500, 2000000, 5000, 20000000,
        0, 0, 0, '{All models,A trial to begin with}', 0, true),
       ('pay_as_you_go', 'Pay as you go', 'Credit that does not expire, bought as it is needed.', 600, 4000000, 64, null, null, null, null,
        0, 0, 0, '{All models,No daily or monthly quota,A bonus on larger purchases}', 1, true),
       ('dev', 'Dev', 'For one developer: credit for each month, and higher limits.', 1200, 8000000, 128, null, null, null, null,
        2900, 29000, 25000000000, '{All models,Credit each month,No daily or monthly quota,Two months free when paid yearly}', 2, true),
       ('team', 'Team', 'For a team: more credit for each month, and the highest limits.', 3000, 20000000, 256, null, null, null, null,
        9900, 99000, 90000000000, '{All models,Credit each month,No daily or monthly quota,Two months free when paid yearly}', 3, true)
on conflict (id) do update
   set description = excluded.description, features = excluded.features, rank = excluded.rank, is_offered = excluded.is_offered
 where plans.id in ('free', 'pay_as_you_go');

create table gateway.plan_prices (
    stripe_price_id         text primary key check (stripe_price_id ~ '^[!-~]{1,255}$'),
    plan_id                 text not null references gateway.plans,
    interval                text not null check (interval in ('month', 'year')),
    amount_cents            int not null check (amount_cents > 0),
    monthly_allowance_nanos bigint not null check (monthly_allowance_nanos >= 0),
    created_at              timestamptz not null default now()
);
comment on table gateway.plan_prices is
    'What a price at Stripe stands for, as it was sold. Never updated: a plan that costs or gives something else from now on has another price.';
create index plan_prices_by_plan on gateway.plan_prices (plan_id, interval, created_at);
alter table gateway.plan_prices enable row level security;
create trigger plan_prices_append_only before update or delete or truncate on gateway.plan_prices
    for each statement execute function gateway.refuse_change();

create function gateway.price_cents(p_plan gateway.plans, p_interval text) returns int
language sql immutable
as $$ select nullif(case p_interval when 'month' then p_plan.monthly_price_cents when 'year' then p_plan.yearly_price_cents end, 0) $$;
comment on function gateway.price_cents is 'What a plan costs for a month or a year; null where it is not to be had for that.';

create function gateway.plan_refusal(p_plan_id text, p_interval text) returns jsonb
language plpgsql stable
as $$
declare
    v_plan gateway.plans;
begin
    select * into v_plan from gateway.plans where id = p_plan_id;
    if not found then
        return gateway.refusal(404, 'unknown_plan', jsonb_build_object('plan_id', p_plan_id));
    end if;
    if not v_plan.is_offered or gateway.price_cents(v_plan, p_interval) is null then
        return gateway.refusal(400, 'plan_not_for_sale', jsonb_build_object('plan_id', p_plan_id, 'interval', p_interval));
    end if;
    return null;
end $$;
comment on function gateway.plan_refusal is 'May this plan be bought for a month or a year? Null is yes.';

create function api.read_plan_price(p_plan_id text, p_interval text) returns jsonb
language sql stable security definer set search_path = ''
as $$
    select coalesce(gateway.plan_refusal(p_plan_id, p_interval), (
        select jsonb_build_object(
                   'verdict', 'plan_price', 'plan_id', plan.id, 'name', plan.name, 'interval', p_interval,
                   'amount_cents', gateway.price_cents(plan, p_interval), 'monthly_allowance_nanos', plan.monthly_allowance_nanos,
                   'stripe_price_id', (
                       select price.stripe_price_id from gateway.plan_prices as price
                        where price.plan_id = plan.id and price.interval = p_interval
                          and price.amount_cents = gateway.price_cents(plan, p_interval)
                          and price.monthly_allowance_nanos = plan.monthly_allowance_nanos
                        order by price.created_at, price.stripe_price_id limit 1))
          from gateway.plans as plan where plan.id = p_plan_id))
$$;
comment on function api.read_plan_price is
    'What a plan costs now and gives each month, and the price at Stripe that stands for just that; null where none is known yet.';

create function api.keep_plan_price(p_plan_id text, p_interval text, p_stripe_price_id text, p_amount_cents int) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v_plan  gateway.plans;
    v_price gateway.plan_prices;
begin
    select * into strict v_plan from gateway.plans where id = p_plan_id;
    insert into gateway.plan_prices (stripe_price_id, plan_id, interval, amount_cents, monthly_allowance_nanos, created_at)
    select p_stripe_price_id, p_plan_id, p_interval, p_amount_cents, v_plan.monthly_allowance_nanos, gateway.clock()
     where gateway.price_cents(v_plan, p_interval) = p_amount_cents
    on conflict (stripe_price_id) do nothing;
    select * into v_price from gateway.plan_prices where stripe_price_id = p_stripe_price_id;
    if not found then
        -- The plan's price was changed since it was read. Nothing was sold by this one yet.
        return jsonb_build_object('verdict', 'superseded');
    end if;
    if (v_price.plan_id, v_price.interval, v_price.amount_cents) is distinct from (p_plan_id, p_interval, p_amount_cents) then
        raise exception 'price % stands for something else', p_stripe_price_id using errcode = 'invalid_parameter_value';
    end if;
    return jsonb_build_object('verdict', 'kept');
end $$;
comment on function api.keep_plan_price is
    'Remembers what a new price at Stripe stands for; again changes nothing. superseded: the plan costs something else by now, read it again.';

-- The plan that everything reads stays accounts.plan_id.
alter table gateway.accounts
    add column base_plan_id text references gateway.plans,
    add column plan_changed_at timestamptz;
update gateway.accounts set base_plan_id = plan_id;
alter table gateway.accounts alter column base_plan_id set not null;
comment on column gateway.accounts.plan_id is 'The plan whose limits hold now: that of a subscription, or the base plan. Written by gateway.settle_plan.';
comment on column gateway.accounts.base_plan_id is 'The plan without a subscription.';
comment on column gateway.accounts.plan_changed_at is 'When plan_id last became another: what remembers limits for an hour has to hear of it.';

create function gateway.settle_plan(p_account_id bigint, p_now timestamptz) returns boolean
language plpgsql
as $$
begin
    -- gateway.entitled_plan_ids comes with subscriptions, in a later file.
    update gateway.accounts as account
       set plan_id = best.plan_id, plan_changed_at = p_now
      from (select plan.id as plan_id
              from gateway.accounts as owner
              join gateway.plans as plan
                on plan.id = owner.base_plan_id or plan.id = any (gateway.entitled_plan_ids(p_account_id, p_now))
             where owner.id = p_account_id
             order by plan.rank desc, plan.id = owner.base_plan_id desc, plan.id limit 1) as best
     where account.id = p_account_id and account.plan_id <> best.plan_id;
    return found;
end $$;
comment on function gateway.settle_plan is
    'Puts a locked account on the highest of its base plan and those that its subscriptions entitle it to now. Whether that is another than before.';

create or replace function api.create_account(p_external_id text, p_plan_id text) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v_id bigint;
begin
    insert into gateway.accounts (external_id, plan_id, base_plan_id) values (p_external_id, p_plan_id, p_plan_id)
    on conflict (external_id) do update set external_id = excluded.external_id
    returning id into v_id;
    insert into gateway.wallets (account_id) values (v_id) on conflict do nothing;
    insert into gateway.quota_usage (account_id) values (v_id) on conflict do nothing;
    return jsonb_build_object('account_id', v_id);
end $$;

create or replace function gateway.make_account(p_person gateway.person, p_first_key jsonb, p_caller gateway.caller) returns gateway.accounts
language plpgsql
as $$
declare
    v_account gateway.accounts;
    v_key_id  bigint;
begin
    -- Of many at once one makes it; the others wait here for that one to be done, and make nothing.
    insert into gateway.accounts (privy_id, plan_id, base_plan_id, email, email_normalised, signup_referral_code, created_at)
    values (p_person.privy_id, 'free', 'free', p_person.email, p_person.email_normalised, p_person.referral_code, gateway.clock())
    on conflict (privy_id) do nothing
    returning * into v_account;
    if not found then
        return null;
    end if;
    insert into gateway.wallets (account_id) values (v_account.id);
    insert into gateway.quota_usage (account_id) values (v_account.id);
    insert into gateway.api_keys (account_id, name, environment, masked, scopes)
    values (v_account.id, p_first_key ->> 'name', 'live', p_first_key ->> 'masked', gateway.user_scopes())
    returning id into v_key_id;
    insert into gateway.key_secrets (key_hmac, key_id) values (decode(p_first_key ->> 'key_hmac', 'hex'), v_key_id);
    perform gateway.write_audit(v_account.id, 'user', null, 'account_created', null, null, p_caller);
    perform gateway.write_audit(v_account.id, 'user', null, 'key_created', v_key_id::text,
                                jsonb_build_object('name', p_first_key ->> 'name', 'environment', 'live'), p_caller);
    return v_account;
end $$;

-- The rest of a period is counted in UTC too, whatever time zone the session is in.
create or replace function gateway.quota_refusal(p_account_id bigint, p_now timestamptz) returns jsonb
language sql stable
as $$
    with usage as (
        select plan.requests_per_day, plan.tokens_per_day, plan.requests_per_month, plan.tokens_per_month,
               case when quota.day = (p_now at time zone 'UTC')::date then quota.day_requests else 0 end as day_requests,
               case when quota.day = (p_now at time zone 'UTC')::date then quota.day_tokens else 0 end as day_tokens,
               case when quota.month = date_trunc('month', p_now at time zone 'UTC')::date then quota.month_requests else 0 end as month_requests,
               case when quota.month = date_trunc('month', p_now at time zone 'UTC')::date then quota.month_tokens else 0 end as month_tokens
          from gateway.accounts as account
          join gateway.plans as plan on plan.id = account.plan_id
          join gateway.quota_usage as quota on quota.account_id = account.id
         where account.id = p_account_id
    )
    select gateway.refusal(429, quota.code, jsonb_build_object(
               'limit', quota.allowed, 'used', quota.used,
               'retry_after_s', ceil(extract(epoch from
                   date_add(gateway.period_start(quota.period, p_now), ('1 ' || quota.period)::interval, 'UTC') - p_now))::bigint))
      from usage,
           lateral (values ('day', 'day_requests_exhausted', requests_per_day, day_requests),
                           ('day', 'day_tokens_exhausted', tokens_per_day, day_tokens),
                           ('month', 'month_requests_exhausted', requests_per_month, month_requests),
                           ('month', 'month_tokens_exhausted', tokens_per_month, month_tokens)
                   ) as quota (period, code, allowed, used)
     where quota.used >= quota.allowed
     limit 1
$$;

create table gateway.credit_tiers (
    min_cents  int primary key check (min_cents > 0),
    bonus_ppm  int not null check (bonus_ppm between 0 and 1000000),
    created_at timestamptz not null default now()
);
comment on table gateway.credit_tiers is 'The bonus on bought credit, in millionths, from an amount on; the highest tier that an amount reaches holds for all of it.';
alter table gateway.credit_tiers enable row level security;
insert into gateway.credit_tiers (min_cents, bonus_ppm) values (10000, 50000), (50000, 100000);

create function gateway.credit_bounds(out min_cents int, out max_cents int)
language sql immutable
as $$ select 500, 500000 $$;
comment on function gateway.credit_bounds is 'The least and the most credit that one purchase buys, in US cents.';

create function gateway.cents_in_nanos(p_cents bigint) returns bigint
language sql immutable
as $$ select p_cents * 10000000 $$;

create function gateway.bonus_nanos(p_cents bigint) returns bigint
language sql stable
as $$
    -- A cent is ten million nano-dollars, so a millionth of it is a whole number of them.
    select p_cents * 10 * coalesce((select bonus_ppm from gateway.credit_tiers where min_cents <= p_cents order by min_cents desc limit 1), 0)
$$;
comment on function gateway.bonus_nanos is 'The bonus on so much bought credit.';

create function gateway.offered_plan(p_plan gateway.plans) returns jsonb
language sql immutable
as $$
    select jsonb_build_object(
        'id', p_plan.id, 'name', p_plan.name, 'description', p_plan.description, 'features', p_plan.features, 'rank', p_plan.rank,
        'monthly_price_cents', p_plan.monthly_price_cents, 'yearly_price_cents', p_plan.yearly_price_cents,
        'monthly_allowance_nanos', p_plan.monthly_allowance_nanos,
        'limits', jsonb_build_object(
            'requests_per_minute', p_plan.requests_per_minute, 'tokens_per_minute', p_plan.tokens_per_minute,
            'concurrency', p_plan.concurrency, 'requests_per_day', p_plan.requests_per_day, 'tokens_per_day', p_plan.tokens_per_day,
            'requests_per_month', p_plan.requests_per_month, 'tokens_per_month', p_plan.tokens_per_month))
$$;
comment on function gateway.offered_plan is 'A plan as it is told: prices in US cents, 0 where it is not to be had so; limits by minute 0 and by day and month null where there are none.';

create function api.list_plans() returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
    -- The terms are read from what enforces them; the trial's come in a later file.
    return jsonb_build_object(
        'plans', (select coalesce(jsonb_agg(gateway.offered_plan(plan) order by plan.rank), '[]') from gateway.plans as plan where plan.is_offered),
        'credits', (select jsonb_build_object(
                               'min_cents', bounds.min_cents, 'max_cents', bounds.max_cents,
                               'tiers', (select coalesce(jsonb_agg(jsonb_build_object('min_cents', tier.min_cents, 'bonus_ppm', tier.bonus_ppm)
                                                                   order by tier.min_cents), '[]') from gateway.credit_tiers as tier))
                      from gateway.credit_bounds() as bounds),
        'trial', jsonb_build_object('days', gateway.trial_days(), 'amount_nanos', gateway.trial_nanos()));
end $$;
comment on function api.list_plans is 'What is offered: plans in their order, the terms of bought credit and of the trial.';
