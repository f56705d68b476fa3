-- What a key and its plan allow: where, for which models, how often and for how much; and how that is counted.

create function gateway.period_start(p_period text, p_now timestamptz) returns timestamptz
language sql stable
as $$ select case when p_period = 'total' then '-infinity'::timestamptz else date_trunc(p_period, p_now, 'UTC') end $$;

create function gateway.count_request(p_account_id bigint, p_key_id bigint, p_now timestamptz) returns void
language sql
as $$
    update gateway.quota_usage
       set day = (p_now at time zone 'UTC')::date,
           day_requests = 1 + case when day = (p_now at time zone 'UTC')::date then day_requests else 0 end,
           day_tokens = case when day = (p_now at time zone 'UTC')::date then day_tokens else 0 end,
           month = date_trunc('month', p_now at time zone 'UTC')::date,
           month_requests = 1 + case when month = date_trunc('month', p_now at time zone 'UTC')::date then month_requests else 0 end,
           month_tokens = case when month = date_trunc('month', p_now at time zone 'UTC')::date then month_tokens else 0 end
     where account_id = p_account_id;
    update gateway.api_keys set requests_used = requests_used + 1, last_used_at = p_now where id = p_key_id;
$$;

create function gateway.uncount_request(p_account_id bigint, p_key_id bigint, p_counted_at timestamptz) returns void
language sql
as $$
    update gateway.quota_usage
       set day_requests = day_requests - case when day = (p_counted_at at time zone 'UTC')::date and day_requests > 0 then 1 else 0 end,
           month_requests = month_requests
             - case when month = date_trunc('month', p_counted_at at time zone 'UTC')::date and month_requests > 0 then 1 else 0 end
     where account_id = p_account_id;
    update gateway.api_keys set requests_used = requests_used - 1 where id = p_key_id and requests_used > 0;
$$;

create function gateway.count_spend(p_line gateway.usage_lines) returns void
language plpgsql
as $$
declare
    v_tokens bigint := coalesce((p_line.quantities).input_tokens, 0) + coalesce((p_line.quantities).cached_input_tokens, 0)
                     + coalesce((p_line.quantities).cache_write_tokens, 0) + coalesce((p_line.quantities).output_tokens, 0);
begin
    update gateway.quota_usage
       set day = (p_line.created_at at time zone 'UTC')::date,
           day_requests = case when day = (p_line.created_at at time zone 'UTC')::date then day_requests else 0 end,
           day_tokens = v_tokens + case when day = (p_line.created_at at time zone 'UTC')::date then day_tokens else 0 end,
           month = date_trunc('month', p_line.created_at at time zone 'UTC')::date,
           month_requests = case when month = date_trunc('month', p_line.created_at at time zone 'UTC')::date then month_requests else 0 end,
           month_tokens = v_tokens + case when month = date_trunc('month', p_line.created_at at time zone 'UTC')::date then month_tokens else 0 end
     where account_id = p_line.account_id;
    update gateway.api_keys
       set spent_nanos = p_line.charged_nanos
             + case when spent_since >= gateway.period_start(spend_limit_period, p_line.created_at) then spent_nanos else 0 end,
           spent_since = greatest(spent_since, gateway.period_start(spend_limit_period, p_line.created_at))
     where id = p_line.key_id;
end $$;

create function gateway.matches_glob(p_text text, p_globs text[]) returns boolean
language sql immutable
as $$
    select exists (
        select from unnest(p_globs) as glob
         where p_text like replace(replace(replace(replace(glob, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'))
$$;

create function gateway.matches_domain(p_host text, p_domains text[]) returns boolean
language sql immutable
as $$
    select exists (
        select from unnest(p_domains) as domain
         where p_host = domain or (domain like '*.%' and right(p_host, length(domain) - 1) = substr(domain, 2)))
$$;

create function gateway.read_address(p_address text) returns inet
language plpgsql immutable
as $$
declare
    -- An IPv4 client behind an IPv6 socket is the same client. What is no address counts as none.
    v_bare text := regexp_replace(split_part(p_address, '%', 1), '^::ffff:(?=[0-9.]+$)', '', 'i');
begin
    -- Statements, not one expression: a planner may cast before it looks whether it can.
    if not pg_input_is_valid(v_bare, 'inet') then
        return null;
    end if;
    return v_bare::inet;
end $$;

create function gateway.limits_policy(p_key_id bigint) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'account_id', key.account_id,
        'account', jsonb_build_object('requests_per_minute', plan.requests_per_minute, 'tokens_per_minute', plan.tokens_per_minute,
                                      'concurrency', plan.concurrency),
        'key', jsonb_build_object('requests_per_minute', coalesce(key.requests_per_minute, 0),
                                  'tokens_per_minute', coalesce(key.tokens_per_minute, 0),
                                  'concurrency', coalesce(key.concurrency, 0)))
      from gateway.api_keys as key
      join gateway.accounts as account on account.id = key.account_id
      join gateway.plans as plan on plan.id = account.plan_id
     where key.id = p_key_id
$$;

-- May this key be used here and now? Null is yes. Unknown, revoked and expired answer alike, so that none tells which it was.
create function gateway.key_refusal(
    p_key gateway.api_keys, p_scope text, p_models text[], p_address inet, p_origin_host text, p_now timestamptz
) returns jsonb
language plpgsql stable
as $$
declare
    v_status text;
    v_model  text;
begin
    if not p_key.is_active or p_key.expires_at <= p_now then
        return gateway.refusal(401, 'invalid_api_key');
    end if;
    select status into strict v_status from gateway.accounts where id = p_key.account_id;
    if v_status <> 'active' then
        return gateway.refusal(403, 'account_suspended');
    end if;
    if p_key.ip_allowlist is not null and (p_address <<= any (p_key.ip_allowlist)) is not true then
        return gateway.refusal(403, 'address_not_allowed');
    end if;
    if p_key.allowed_domains is not null and (p_origin_host is null or not gateway.matches_domain(p_origin_host, p_key.allowed_domains)) then
        return gateway.refusal(403, 'domain_not_allowed');
    end if;
    if (p_scope = any (p_key.scopes)) is not true then
        return gateway.refusal(403, 'missing_scope', jsonb_build_object('scope', p_scope));
    end if;
    if p_key.model_globs is not null then
        select model into v_model from unnest(p_models) as model where not gateway.matches_glob(model, p_key.model_globs) limit 1;
        if found then
            return gateway.refusal(403, 'model_not_allowed', jsonb_build_object('model', v_model));
        end if;
    end if;
    if p_key.max_requests is not null and p_key.requests_used >= p_key.max_requests then
        return gateway.refusal(429, 'key_requests_exhausted', jsonb_build_object('limit', p_key.max_requests));
    end if;
    return null;
end $$;

create function gateway.quota_refusal(p_account_id bigint, p_now timestamptz) returns jsonb
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
               'retry_after_s', ceil(extract(epoch from date_trunc(split_part(quota.code, '_', 1), p_now, 'UTC')
                                     + ('1 ' || split_part(quota.code, '_', 1))::interval - p_now))::bigint))
      from usage,
           lateral (values ('day_requests_exhausted', requests_per_day, day_requests), ('day_tokens_exhausted', tokens_per_day, day_tokens),
                           ('month_requests_exhausted', requests_per_month, month_requests), ('month_tokens_exhausted', tokens_per_month, month_tokens)
                   ) as quota (code, allowed, used)
     where quota.used >= quota.allowed
     limit 1
$$;

create function gateway.live_held_by_key(p_account_id bigint, p_key_id bigint) returns bigint
language sql stable
as $$
    select coalesce(sum(amount_nanos), 0)::bigint from gateway.holds
     where account_id = p_account_id and state = 'held' and key_id = p_key_id
$$;

create function gateway.spend_limit_refusal(p_key gateway.api_keys, p_required bigint, p_now timestamptz) returns jsonb
language plpgsql stable
as $$
declare
    v_spent bigint;
begin
    if p_key.spend_limit_nanos is null or p_required = 0 then
        return null;
    end if;
    v_spent := gateway.live_held_by_key(p_key.account_id, p_key.id)
             + case when p_key.spent_since >= gateway.period_start(p_key.spend_limit_period, p_now) then p_key.spent_nanos else 0 end;
    if v_spent + p_required <= p_key.spend_limit_nanos then
        return null;
    end if;
    return gateway.refusal(402, 'key_spend_limit_reached', jsonb_build_object(
        'limit_nanos', p_key.spend_limit_nanos, 'spent_nanos', v_spent, 'required_nanos', p_required));
end $$;
comment on function gateway.spend_limit_refusal is 'Null when the key''s own limit leaves room for so much more, live holds counted as spent.';
