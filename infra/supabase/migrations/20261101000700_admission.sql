-- Admission: everything that must be true before a provider is called, and the hold, in one call.

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
    if p_key.ip_allowlist is not null and (p_address is null or not p_address <<= any (p_key.ip_allowlist)) then
        return gateway.refusal(403, 'address_not_allowed');
    end if;
    if p_key.allowed_domains is not null and (p_origin_host is null or not gateway.matches_domain(p_origin_host, p_key.allowed_domains)) then
        return gateway.refusal(403, 'domain_not_allowed');
    end if;
    if not p_scope = any (p_key.scopes) then
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
    select gateway.refusal(429, quota.code, jsonb_build_object('limit', quota.allowed, 'used', quota.used))
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

create type gateway.offer as (
    model_id text, provider text, upstream_model text, price_id bigint, context_length int, max_output_tokens int,
    output_tokens bigint, quantities gateway.quantities, quote_nanos bigint
);
comment on type gateway.offer is 'An offer that may serve a request; quantities and quote_nanos are the most that the request may use and cost there.';

-- The request as the caller bounded it: input_tokens, images, choices, output_tokens (per choice).
create function gateway.offers_for(p_models text[], p_providers text[], p_is_test boolean, p_request jsonb)
returns setof gateway.offer
language sql stable
as $$
    select asked.model_id, offer.provider, offer.upstream_model, price.id, model.context_length, bound.max_output_tokens,
           bound.output_tokens, bound.quantities, gateway.amount(price.price, bound.quantities)
      from unnest(p_models) with ordinality as asked (model_id, position)
      join gateway.models as model on model.id = asked.model_id and model.is_enabled
      join gateway.provider_offers as offer
        on offer.model_id = case when p_is_test then 'simulated/echo' else asked.model_id end
       and offer.is_enabled and (p_is_test or p_providers is null or offer.provider = any (p_providers))
      join gateway.prices as price on price.id = offer.price_id,
           lateral (select least(model.max_output_tokens, offer.max_output_tokens) as max_output_tokens) as limits,
           lateral (select least((p_request ->> 'output_tokens')::bigint, limits.max_output_tokens) as output_tokens,
                           limits.max_output_tokens) as per_choice,
           lateral (select per_choice.max_output_tokens, per_choice.output_tokens,
                           row((p_request ->> 'input_tokens')::bigint
                                 + (p_request ->> 'images')::bigint * coalesce(model.image_input_tokens, 0),
                               0, 0, (p_request ->> 'choices')::bigint * per_choice.output_tokens, 0, 1)::gateway.quantities as quantities
                   ) as bound
     where (p_request ->> 'images')::bigint = 0 or model.image_input_tokens is not null
     order by asked.position, gateway.amount(price.price, bound.quantities), offer.provider
$$;

create function gateway.no_offer_refusal(p_models text[], p_request jsonb) returns jsonb
language sql stable
as $$
    select case
        when not exists (select from gateway.models where id = any (p_models) and is_enabled)
            then gateway.refusal(404, 'model_not_found', jsonb_build_object('model', p_models[1]))
        when (p_request ->> 'images')::bigint > 0
             and not exists (select from gateway.models where id = any (p_models) and is_enabled and image_input_tokens is not null)
            then gateway.refusal(400, 'images_not_supported', jsonb_build_object('model', p_models[1]))
        else gateway.refusal(404, 'no_provider_available', jsonb_build_object('model', p_models[1]))
    end
$$;

create function gateway.admitted(p_hold gateway.holds, p_offers gateway.offer[]) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'verdict', 'admitted',
        'account_id', p_hold.account_id, 'key_id', p_hold.key_id,
        'hold', jsonb_build_object('amount_nanos', p_hold.amount_nanos, 'state', p_hold.state, 'expires_at', p_hold.expires_at),
        'offers', (select jsonb_agg(jsonb_build_object(
                              'model_id', offer.model_id, 'provider', offer.provider, 'upstream_model', offer.upstream_model,
                              'price_id', offer.price_id, 'context_length', offer.context_length,
                              'max_output_tokens', offer.max_output_tokens, 'output_tokens', offer.output_tokens,
                              'input_tokens', (offer.quantities).input_tokens, 'quote_nanos', offer.quote_nanos) order by offer.position)
                     from unnest(p_offers) with ordinality as offer (model_id, provider, upstream_model, price_id, context_length,
                                                                     max_output_tokens, output_tokens, quantities, quote_nanos, position)),
        'policy', gateway.limits_policy(p_hold.key_id))
$$;

create function api.admit(
    p_generation_id uuid,
    p_key_hmacs     text[],
    p_scope         text,
    p_models        text[],
    p_providers     text[],
    p_request       jsonb,
    p_lifetime_s    int,
    p_address       text default null,
    p_origin_host   text default null
) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off
as $$
declare
    v_hmacs     bytea[] := array(select decode(hmac, 'hex') from unnest(p_key_hmacs) with ordinality as given (hmac, position) order by position);
    v_key       gateway.api_keys;
    v_hold      gateway.holds;
    v_offers    gateway.offer[];
    v_dearest   gateway.offer;
    v_refusal   jsonb;
    v_available bigint;
    v_spent     bigint;
    v_now       timestamptz;
begin
    select * into v_key from gateway.api_keys where key_hmac = any (v_hmacs);
    if not found then
        return gateway.refusal(401, 'invalid_api_key');
    end if;
    v_now := gateway.lock_wallet(v_key.account_id);
    select * into strict v_key from gateway.api_keys where id = v_key.id;
    perform gateway.bring_to_time(v_key.account_id, v_now);

    v_refusal := gateway.key_refusal(v_key, p_scope, p_models, p_address::inet, p_origin_host, v_now);
    if v_refusal ->> 'code' = 'invalid_api_key' then
        return v_refusal;
    end if;
    if v_key.key_hmac <> v_hmacs[1] then
        -- Found by an older secret: the row moves to the newest, so that the older one can be retired.
        update gateway.api_keys set key_hmac = v_hmacs[1] where id = v_key.id;
    end if;
    v_offers := array(select offer from gateway.offers_for(p_models, p_providers, v_key.environment = 'test', p_request) as offer);

    select * into v_hold from gateway.holds where id = p_generation_id;
    if found then
        if v_hold.account_id <> v_key.account_id or v_hold.key_id <> v_key.id then
            return gateway.refusal(409, 'generation_id_taken');
        end if;
        return gateway.admitted(v_hold, v_offers);
    end if;

    v_refusal := coalesce(v_refusal, gateway.quota_refusal(v_key.account_id, v_now));
    if v_refusal is null and cardinality(v_offers) = 0 then
        v_refusal := gateway.no_offer_refusal(p_models, p_request);
    end if;
    if v_refusal is not null then
        return v_refusal || jsonb_build_object('policy', gateway.limits_policy(v_key.id));
    end if;

    -- Whichever offer or fallback serves in the end, its cost is covered.
    select * into v_dearest from unnest(v_offers) order by quote_nanos desc limit 1;
    if v_key.spend_limit_nanos is not null and v_dearest.quote_nanos > 0 then
        v_spent := gateway.live_held_by_key(v_key.account_id, v_key.id)
                 + case when v_key.spent_since >= gateway.period_start(v_key.spend_limit_period, v_now) then v_key.spent_nanos else 0 end;
        if v_spent + v_dearest.quote_nanos > v_key.spend_limit_nanos then
            return gateway.refusal(402, 'key_spend_limit_reached', jsonb_build_object(
                       'limit_nanos', v_key.spend_limit_nanos, 'spent_nanos', v_spent, 'required_nanos', v_dearest.quote_nanos))
                || jsonb_build_object('policy', gateway.limits_policy(v_key.id));
        end if;
    end if;

    insert into gateway.holds (id, account_id, key_id, model_id, price_id, quantities, amount_nanos, expires_at, created_at)
    values (p_generation_id, v_key.account_id, v_key.id, v_dearest.model_id, v_dearest.price_id, v_dearest.quantities,
            v_dearest.quote_nanos, v_now + make_interval(secs => p_lifetime_s), v_now)
    returning * into v_hold;
    v_available := gateway.take_into_hold(v_hold.id, v_hold.account_id, v_hold.amount_nanos, v_now);
    if v_available < v_hold.amount_nanos then
        delete from gateway.holds where id = v_hold.id;
        return gateway.refusal(402, 'insufficient_credits', jsonb_build_object(
                   'available_nanos', v_available, 'required_nanos', v_hold.amount_nanos))
            || jsonb_build_object('policy', gateway.limits_policy(v_key.id));
    end if;
    perform gateway.count_request(v_key.account_id, v_key.id, v_now);
    return gateway.admitted(v_hold, v_offers);
end $$;
comment on function api.admit is
    'Admits a request and holds the dearest thing it may cost, or refuses it with the numbers. Asking again with the same id moves nothing.';
