-- What people read and change of their own account.

alter table gateway.accounts add column email_preferences jsonb not null default '{}' check (jsonb_typeof(email_preferences) = 'object');
comment on column gateway.accounts.email_preferences is 'Which e-mails the owner wants, by kind; one that is not named is as the application has it.';

create function gateway.answer(p_verdict text, p_key gateway.api_keys, p_told jsonb) returns jsonb
language sql stable
as $$ select p_told || jsonb_build_object('verdict', p_verdict, 'policy', gateway.limits_policy(p_key.id)) $$;
comment on function gateway.answer is 'What a caller is told, with the limits that he is held to.';

create index lots_by_kind on gateway.lots (account_id, kind);

create function gateway.credit_lots(p_account_id bigint, p_now timestamptz) returns jsonb
language sql stable
as $$
    -- Purchases without an end are one to their owner, however many there were.
    select jsonb_build_object(
               'lots', coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'remaining_nanos', remaining_nanos, 'live_from', live_from,
                                                             'expires_at', expires_at) order by position) filter (where position <= 100), '[]'),
               'has_more_lots', count(*) > 100)
      from (select *, row_number() over (order by live_from nulls first, expires_at nulls last, kind) as position
              from (select kind, case when live_from > p_now then live_from end as live_from, expires_at,
                           sum(remaining_nanos)::bigint as remaining_nanos
                      from gateway.lots
                     where account_id = p_account_id and not is_closed and remaining_nanos > 0
                     group by 1, 2, 3 order by 2 nulls first, 3 nulls last, 1 limit 101) as lot) as placed
$$;
comment on function gateway.credit_lots is 'What is left of an account''s credit by origin and life, the hundred that can be spent first, and whether there are more.';

create function gateway.running_trial(p_account_id bigint, p_now timestamptz) returns jsonb
language sql stable
as $$
    select jsonb_build_object('ends_at', expires_at, 'remaining_nanos', remaining_nanos)
      from gateway.lots
     where account_id = p_account_id and kind = 'trial' and (live_from is null or live_from <= p_now) and expires_at > p_now
     order by expires_at desc limit 1
$$;

create function gateway.standing(p_account gateway.accounts, p_now timestamptz) returns text
language sql stable
as $$
    -- Whatever became of it: who has bought once is on trial no more.
    select case when p_account.status <> 'active' then 'suspended'
                when gateway.running_trial(p_account.id, p_now) is not null
                     and not exists (select from gateway.lots where account_id = p_account.id and kind in ('purchase', 'plan')) then 'trial'
                else 'active' end
$$;

create function api.read_account_balance(p_caller jsonb) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v     record;
    v_now timestamptz;
begin
    select * into v from gateway.enter_locked(p_caller, p_takes_account => false, p_takes_wallet => true);
    if v.refusal is not null then
        return v.refusal;
    end if;
    v_now := v.at;
    perform gateway.bring_to_time((v.key).account_id, v_now);
    return (
        select gateway.answer('balance', v.key, jsonb_build_object(
                   'posted_nanos', wallet.posted_nanos, 'owed_nanos', wallet.owed_nanos,
                   'held_nanos', (select coalesce(sum(amount_nanos), 0)::bigint from gateway.holds
                                   where account_id = wallet.account_id and state = 'held'),
                   'available_nanos', gateway.available(wallet.account_id, v_now),
                   'status', gateway.standing(account, v_now),
                   'trial', gateway.running_trial(wallet.account_id, v_now)) || gateway.credit_lots(wallet.account_id, v_now))
          from gateway.wallets as wallet join gateway.accounts as account on account.id = wallet.account_id
         where wallet.account_id = (v.key).account_id);
end $$;
comment on function api.read_account_balance is
    'What the key''s account has, brought to the present first: what is left of it by origin, what is set aside, and the trial that runs.';

create function gateway.profile(p_account_id bigint) returns jsonb
language sql stable
as $$
    select jsonb_build_object('id', id, 'name', name, 'email', email, 'status', status, 'plan_id', plan_id, 'preferences', preferences,
                              'is_zero_retention', is_zero_retention, 'created_at', created_at)
      from gateway.accounts where id = p_account_id
$$;

create function api.read_profile(p_caller jsonb) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v record;
begin
    select * into v from gateway.enter(p_caller);
    return coalesce(v.refusal, gateway.answer('profile', v.key, gateway.profile((v.key).account_id)));
end $$;
comment on function api.read_profile is 'Who the owner of the key''s account is, as far as he has told.';

-- One count for all that a statement changed: counted row by row, twenty thousand answers took as many versions of one row.
drop trigger count_kept_bytes_of_a_change on gateway.replays;
drop trigger count_kept_bytes_of_a_deletion on gateway.replays;
drop function gateway.count_kept_bytes();
create function gateway.count_changed_bytes() returns trigger
language plpgsql
as $$
begin
    update gateway.quota_usage as quota
       set kept_bytes = quota.kept_bytes + changed.bytes
      from (select account_id, sum(bytes)::bigint as bytes
              from (select account_id, octet_length(answer) as bytes from after_it where answer is not null
                    union all
                    select account_id, -octet_length(answer) from before_it where answer is not null) as answers
             group by account_id having sum(bytes) <> 0) as changed
     where quota.account_id = changed.account_id;
    return null;
end $$;
create function gateway.count_deleted_bytes() returns trigger
language plpgsql
as $$
begin
    update gateway.quota_usage as quota
       set kept_bytes = quota.kept_bytes - deleted.bytes
      from (select account_id, sum(octet_length(answer)) as bytes from before_it where answer is not null group by account_id) as deleted
     where quota.account_id = deleted.account_id;
    return null;
end $$;
create trigger count_kept_bytes_of_a_change after update on gateway.replays
    referencing old table as before_it new table as after_it for each statement execute function gateway.count_changed_bytes();
create trigger count_kept_bytes_of_a_deletion after delete on gateway.replays
    referencing old table as before_it for each statement execute function gateway.count_deleted_bytes();

create function gateway.erase_kept_answers(p_account_id bigint) returns void
language sql
as $$
    -- The claims stay, so that a request that comes again is known and not paid for twice.
    update gateway.replays set answer = null, is_erased = true where account_id = p_account_id and answer is not null
$$;

create function api.update_profile(p_caller jsonb, p_changes jsonb) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v             record;
    v_preferences jsonb;
begin
    select * into v from gateway.enter_locked(p_caller, p_takes_account => true, p_takes_wallet => true);
    if v.refusal is not null then
        return v.refusal;
    end if;
    select jsonb_strip_nulls(preferences || coalesce(p_changes -> 'preferences', '{}')) into v_preferences
      from gateway.accounts where id = (v.key).account_id;
    if octet_length(v_preferences::text) > 8192 then
        return gateway.refusal(400, 'preferences_too_large', jsonb_build_object('limit', 8192))
            || jsonb_build_object('policy', gateway.limits_policy((v.key).id));
    end if;
    update gateway.accounts
       set name = case when p_changes ? 'name' then p_changes ->> 'name' else name end,
           preferences = v_preferences,
           is_zero_retention = coalesce((p_changes ->> 'is_zero_retention')::boolean, is_zero_retention)
     where id = (v.key).account_id;
    if (p_changes ->> 'is_zero_retention')::boolean then
        perform gateway.erase_kept_answers((v.key).account_id);
    end if;
    if p_changes <> '{}' then
        -- Which parts, and not what they are: this outlives the account.
        perform gateway.write_audit((v.key).account_id, case (v.key).kind when 'session' then 'user' else 'key' end, (v.key).id, 'profile_updated',
                                    null, jsonb_build_object('fields', (select jsonb_agg(field) from jsonb_object_keys(p_changes) as field)),
                                    gateway.read_caller(p_caller));
    end if;
    return gateway.answer('profile', v.key, gateway.profile((v.key).account_id));
end $$;
comment on function api.update_profile is
    'Changes what is given: name, preferences (of which null takes one away), is_zero_retention; turning that on erases what is kept. Again changes nothing.';

create function api.read_email_preferences(p_caller jsonb) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v record;
begin
    select * into v from gateway.enter(p_caller);
    if v.refusal is not null then
        return v.refusal;
    end if;
    return (select gateway.answer('email_preferences', v.key, jsonb_build_object(
                       'emails', email_preferences, 'low_balance_threshold_nanos', low_balance_threshold_nanos))
              from gateway.accounts where id = (v.key).account_id);
end $$;
comment on function api.read_email_preferences is 'Which e-mails the owner of the key''s account wants, and below which balance.';

create function api.update_email_preferences(p_caller jsonb, p_changes jsonb) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v record;
begin
    select * into v from gateway.enter_locked(p_caller, p_takes_account => true, p_takes_wallet => false);
    if v.refusal is not null then
        return v.refusal;
    end if;
    update gateway.accounts
       set email_preferences = email_preferences || coalesce(p_changes -> 'emails', '{}'),
           low_balance_threshold_nanos = case when p_changes ? 'low_balance_threshold_nanos'
                                              then (p_changes ->> 'low_balance_threshold_nanos')::bigint
                                              else low_balance_threshold_nanos end
     where id = (v.key).account_id and status <> 'deleted';
    return api.read_email_preferences(p_caller);
end $$;
comment on function api.update_email_preferences is 'Changes what is given: emails by kind, low_balance_threshold_nanos. Again changes nothing.';

create function gateway.quotas(p_account_id bigint, p_now timestamptz) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
               'day', jsonb_build_object(
                   'resets_at', gateway.period_start('day', p_now) + interval '1 day',
                   'requests_limit', plan.requests_per_day, 'requests_used', case when is_day then quota.day_requests else 0 end,
                   'tokens_limit', plan.tokens_per_day, 'tokens_used', case when is_day then quota.day_tokens else 0 end),
               'month', jsonb_build_object(
                   'resets_at', date_add(gateway.period_start('month', p_now), interval '1 month', 'UTC'),
                   'requests_limit', plan.requests_per_month, 'requests_used', case when is_month then quota.month_requests else 0 end,
                   'tokens_limit', plan.tokens_per_month, 'tokens_used', case when is_month then quota.month_tokens else 0 end))
      from gateway.accounts as account
      join gateway.plans as plan on plan.id = account.plan_id
      join gateway.quota_usage as quota on quota.account_id = account.id,
           lateral (select quota.day = (p_now at time zone 'UTC')::date as is_day,
                           quota.month = date_trunc('month', p_now at time zone 'UTC')::date as is_month) as current
     where account.id = p_account_id
$$;

create function gateway.key_allowance(p_key gateway.api_keys, p_now timestamptz) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'max_requests', p_key.max_requests, 'requests_used', p_key.requests_used,
        'spend_limit_nanos', p_key.spend_limit_nanos, 'spend_limit_period', p_key.spend_limit_period,
        -- As admission counts it: what is set aside for requests under way is spent.
        'spent_nanos', gateway.live_held_by_key(p_key.account_id, p_key.id)
                     + case when p_key.spent_since >= gateway.period_start(p_key.spend_limit_period, p_now) then p_key.spent_nanos else 0 end,
        'resets_at', case when p_key.spend_limit_period <> 'total'
                          then date_add(gateway.period_start(p_key.spend_limit_period, p_now), ('1 ' || p_key.spend_limit_period)::interval, 'UTC') end)
$$;

create function api.read_limits(p_caller jsonb) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v     record;
    v_now timestamptz;
begin
    select * into v from gateway.enter_locked(p_caller, p_takes_account => false, p_takes_wallet => true);
    if v.refusal is not null then
        return v.refusal;
    end if;
    -- Holds whose time is over would otherwise count as spent, which at the next request they do not.
    v_now := v.at;
    perform gateway.bring_to_time((v.key).account_id, v_now);
    return (select gateway.answer('limits', v.key, jsonb_build_object(
                       'plan_id', account.plan_id, 'quotas', gateway.quotas(account.id, v_now), 'key', gateway.key_allowance(v.key, v_now)))
              from gateway.accounts as account where account.id = (v.key).account_id);
end $$;
comment on function api.read_limits is 'What the plan and the key allow beyond a minute, and how much of it is used.';
