-- Admission and what an account may know of its requests, entered by the door that all others use.

drop function api.admit(uuid, text[], text, text[], text[], jsonb, int, text, text, jsonb);
create function api.admit(
    p_generation_id uuid,
    p_caller        jsonb,
    p_models        text[],
    p_providers     text[],
    p_request       jsonb,
    p_lifetime_s    int,
    p_claim         jsonb default null
) returns jsonb
-- A caller waits five seconds for the answer: a hold placed after that would be nobody's.
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v_bounds    gateway.bounds := gateway.read_bounds(p_request);
    v_claim     gateway.claim := gateway.read_claim(p_claim);
    v_found     gateway.replays;
    v           record;
    v_key       gateway.api_keys;
    v_hold      gateway.holds;
    v_offers    gateway.offer[];
    v_dearest   gateway.offer;
    v_refusal   jsonb;
    v_verdict   jsonb;
    v_available bigint;
    v_now       timestamptz;
begin
    if p_caller ->> 'scope' is null then
        raise exception 'a request is admitted for a scope' using errcode = 'invalid_parameter_value';
    end if;
    select * into v from gateway.enter_locked(p_caller, p_takes_account => false, p_takes_wallet => true);
    v_now := v.at;
    v_key := v.key;
    if v_key.id is null then
        return v.refusal;
    end if;
    perform gateway.bring_to_time(v_key.account_id, v_now);
    v_refusal := coalesce(v.refusal, gateway.request_refusal(v_key, p_models));
    v_offers := array(select offer from gateway.offers_for(p_models, p_providers, v_key.environment = 'test', v_bounds) as offer);

    select * into v_hold from gateway.holds where id = p_generation_id;
    if found then
        if v_hold.account_id <> v_key.account_id or v_hold.key_id <> v_key.id then
            return gateway.refusal(409, 'generation_id_taken');
        end if;
        return gateway.admitted(v_hold, v_offers);
    end if;

    -- What was paid for is given again whatever quota, balance or the key's last request have become since; not to a key
    -- that may no longer ask.
    if p_claim is not null and coalesce(v_refusal ->> 'code', 'key_requests_exhausted') = 'key_requests_exhausted' then
        v_found := gateway.find_claim(v_key.id, v_claim, v_now);
        if v_found.generation_id is not null then
            v_verdict := gateway.answer_again(v_found, v_claim.body_hmacs);
            if v_verdict is not null then
                return v_verdict || jsonb_build_object('policy', gateway.limits_policy(v_key.id));
            end if;
        end if;
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
    -- Claims before counts, as the sweep that erases has it: in the other order the two could wait for each other.
    if p_claim is not null then
        perform gateway.place_claim(v_hold, v_claim, v_found.generation_id);
    end if;
    perform gateway.count_request(v_key.account_id, v_key.id, v_now);
    return gateway.admitted(v_hold, v_offers);
end $$;
comment on function api.admit is
    'Admits a request and holds the dearest thing it may cost, or refuses it with the numbers, or answers one that came before with its stored answer. Asking again with the same id moves nothing.';

drop function api.read_generation(text[], uuid, text, text);
drop function api.erase_answer(text[], uuid, text, text);
drop function gateway.find_reader(text[], text, text);
create function api.read_generation(p_caller jsonb, p_generation_id uuid) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v            record;
    v_now        timestamptz := gateway.clock();
    v_generation jsonb;
begin
    select * into v from gateway.enter(p_caller);
    if v.refusal is not null then
        return v.refusal;
    end if;
    select jsonb_build_object(
               'verdict', 'generation', 'id', hold.id, 'created_at', hold.created_at, 'hold_model_id', hold.model_id,
               'superseded_by', hold.superseded_by,
               'hold', jsonb_build_object(
                   'amount_nanos', hold.amount_nanos, 'extensions', hold.extensions, 'expires_at', hold.expires_at,
                   -- One whose time is over holds nothing, whether or not somebody has come by to write it down.
                   'state', case when hold.state = 'held' and hold.expires_at <= v_now then 'expired' else hold.state end),
               'bill', case when line.generation_id is not null then gateway.bill(line) end,
               'kept_answer', case when kept.answer is not null and kept.expires_at > v_now then
                   jsonb_build_object('expires_at', kept.expires_at, 'replays', kept.replays) end)
      into v_generation
      from gateway.holds as hold
      left join gateway.usage_lines as line on line.generation_id = hold.id
      left join gateway.replays as kept on kept.generation_id = hold.id
     where hold.id = p_generation_id and hold.account_id = (v.key).account_id;
    return coalesce(v_generation, gateway.refusal(404, 'generation_not_found'))
        || jsonb_build_object('policy', gateway.limits_policy((v.key).id));
end $$;
comment on function api.read_generation is
    'What one request of the key''s account was and cost. Another account''s answers like one that never was.';

create function api.erase_answer(p_caller jsonb, p_generation_id uuid) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v record;
begin
    select * into v from gateway.enter(p_caller);
    if v.refusal is not null then
        return v.refusal;
    end if;
    perform from gateway.holds where id = p_generation_id and account_id = (v.key).account_id;
    if not found then
        return gateway.refusal(404, 'generation_not_found') || jsonb_build_object('policy', gateway.limits_policy((v.key).id));
    end if;
    -- The mark stays, so that a request that is still under way leaves no answer either; and so does the claim, so that
    -- one that comes again is known and not paid for twice.
    update gateway.replays set answer = null, is_erased = true where generation_id = p_generation_id;
    return jsonb_build_object('verdict', 'erased', 'policy', gateway.limits_policy((v.key).id));
end $$;
comment on function api.erase_answer is
    'Erases what is kept of an answer for a retry, now and for good; the bill stays. Erasing again, or where nothing is kept, changes nothing.';
