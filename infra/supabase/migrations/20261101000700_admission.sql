-- Admission: everything that must be true before a provider is called, and the hold, in one call.

create type gateway.offer as (
    model_id text, provider text, upstream_model text, price_id bigint, context_length int, max_output_tokens int,
    is_reasoning boolean, output_tokens bigint, quantities gateway.quantities, quote_nanos bigint
);
comment on type gateway.offer is 'An offer that may serve a request; quantities and quote_nanos are the most that the request may use and cost there.';

create type gateway.bounds as (
    input_tokens bigint, images bigint, choices bigint, output_tokens bigint, reasoning_output_tokens bigint, is_cheapest_only boolean
);
comment on type gateway.bounds is
    'The most that a request may use, as the caller bounded it. Output is per choice; a model that reasons has its own, since what it thinks counts and is not seen. is_cheapest_only: of each model only the cheapest offer is tried.';

create function gateway.read_bounds(p_request jsonb) returns gateway.bounds
language plpgsql immutable
as $$
declare
    v_bounds gateway.bounds := jsonb_populate_record(null::gateway.bounds, p_request);
begin
    -- A bound that is missing would be held as zero.
    if (v_bounds.input_tokens >= 0 and v_bounds.images >= 0 and v_bounds.choices > 0 and v_bounds.output_tokens >= 0
        and v_bounds.reasoning_output_tokens >= 0 and v_bounds.is_cheapest_only is not null) is not true then
        raise exception 'a request has six bounds: %', p_request using errcode = 'invalid_parameter_value';
    end if;
    return v_bounds;
end $$;

create function gateway.offers_for(p_models text[], p_providers text[], p_is_test boolean, p_bounds gateway.bounds)
returns setof gateway.offer
language sql stable
as $$
    with offered as (
        select asked.position, asked.model_id, offer.provider, offer.upstream_model, price.id as price_id, price.price as rates,
               model.context_length, least(model.max_output_tokens, offer.max_output_tokens) as max_output_tokens,
               'reasoning' = any (model.supported_parameters) as is_reasoning,
               p_bounds.input_tokens + p_bounds.images * coalesce(model.image_input_tokens, 0) as input_tokens
          from unnest(p_models) with ordinality as asked (model_id, position)
          join gateway.models as model on model.id = asked.model_id and model.is_enabled
          join gateway.provider_offers as offer
            on offer.model_id = case when p_is_test then 'simulated/echo' else asked.model_id end
           and offer.is_enabled and (p_is_test or p_providers is null or offer.provider = any (p_providers))
          join gateway.prices as price on price.id = offer.price_id
         where p_bounds.images = 0 or model.image_input_tokens is not null
    ),
    bounded as (
        select offered.*, least(case when is_reasoning then p_bounds.reasoning_output_tokens else p_bounds.output_tokens end,
                                max_output_tokens) as output_tokens
          from offered
    ),
    quoted as (
        select bounded.*, quantities, gateway.amount_to_hold(rates, quantities) as quote_nanos
          from bounded, lateral (select row(input_tokens, 0, 0, p_bounds.choices * output_tokens, p_bounds.images, 1)::gateway.quantities) as most (quantities)
    ),
    ranked as (
        select quoted.*, row_number() over (partition by position order by quote_nanos, provider) as rank from quoted
    )
    select model_id, provider, upstream_model, price_id, context_length, max_output_tokens, is_reasoning, output_tokens, quantities, quote_nanos
      from ranked
     where rank = 1 or not p_bounds.is_cheapest_only
     order by position, quote_nanos, provider
$$;
comment on function gateway.offers_for is 'Who may serve a request, the caller''s models in turn and each model''s offers cheapest first, with the most it can cost there.';

create function gateway.no_offer_refusal(p_models text[], p_bounds gateway.bounds) returns jsonb
language sql stable
as $$
    select case
        when not exists (select from gateway.models where id = any (p_models) and is_enabled)
            then gateway.refusal(404, 'model_not_found', jsonb_build_object('model', p_models[1]))
        when p_bounds.images > 0
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
                              'max_output_tokens', offer.max_output_tokens, 'is_reasoning', offer.is_reasoning,
                              'output_tokens', offer.output_tokens,
                              'input_tokens', (offer.quantities).input_tokens, 'quote_nanos', offer.quote_nanos) order by offer.position)
                     from unnest(p_offers) with ordinality as offer (model_id, provider, upstream_model, price_id, context_length,
                                                                     max_output_tokens, is_reasoning, output_tokens, quantities, quote_nanos, position)),
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
-- A caller waits five seconds for the answer: a hold placed after that would be nobody's.
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v_hmacs     bytea[] := array(select decode(hmac, 'hex') from unnest(p_key_hmacs) with ordinality as given (hmac, position) order by position);
    v_bounds    gateway.bounds := gateway.read_bounds(p_request);
    v_key       gateway.api_keys;
    v_hold      gateway.holds;
    v_offers    gateway.offer[];
    v_dearest   gateway.offer;
    v_refusal   jsonb;
    v_available bigint;
    v_now       timestamptz;
begin
    select * into v_key from gateway.api_keys where key_hmac = any (v_hmacs);
    if not found then
        return gateway.refusal(401, 'invalid_api_key');
    end if;
    v_now := gateway.lock_wallet(v_key.account_id);
    select * into v_key from gateway.api_keys where id = v_key.id;
    if not found then
        return gateway.refusal(401, 'invalid_api_key');
    end if;
    perform gateway.bring_to_time(v_key.account_id, v_now);

    v_refusal := gateway.key_refusal(v_key, p_scope, p_models, gateway.read_address(p_address), p_origin_host, v_now);
    if v_refusal ->> 'code' = 'invalid_api_key' then
        return v_refusal;
    end if;
    if v_key.key_hmac <> v_hmacs[1] then
        -- Found by an older secret: the row moves to the newest, so that the older one can be retired.
        update gateway.api_keys set key_hmac = v_hmacs[1] where id = v_key.id;
    end if;
    v_offers := array(select offer from gateway.offers_for(p_models, p_providers, v_key.environment = 'test', v_bounds) as offer);

    select * into v_hold from gateway.holds where id = p_generation_id;
    if found then
        if v_hold.account_id <> v_key.account_id or v_hold.key_id <> v_key.id then
            return gateway.refusal(409, 'generation_id_taken');
        end if;
        return gateway.admitted(v_hold, v_offers);
    end if;

    v_refusal := coalesce(v_refusal, gateway.quota_refusal(v_key.account_id, v_now));
    if v_refusal is null and cardinality(v_offers) = 0 then
        v_refusal := gateway.no_offer_refusal(p_models, v_bounds);
    end if;
    if v_refusal is not null then
        return v_refusal || jsonb_build_object('policy', gateway.limits_policy(v_key.id));
    end if;

    -- Whichever offer or fallback serves in the end, its cost is covered.
    select * into v_dearest from unnest(v_offers) order by quote_nanos desc limit 1;
    v_refusal := gateway.spend_limit_refusal(v_key, v_dearest.quote_nanos, v_now);
    if v_refusal is not null then
        return v_refusal || jsonb_build_object('policy', gateway.limits_policy(v_key.id));
    end if;

    insert into gateway.holds (id, account_id, key_id, model_id, price_id, quantities, amount_nanos, expires_at, created_at)
    values (p_generation_id, v_key.account_id, v_key.id, v_dearest.model_id, v_dearest.price_id, v_dearest.quantities,
            v_dearest.quote_nanos, v_now + make_interval(secs => p_lifetime_s), v_now)
    on conflict (id) do nothing
    returning * into v_hold;
    if not found then
        -- Taken by another account since it was looked for: its wallet has another lock.
        return gateway.refusal(409, 'generation_id_taken');
    end if;
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
