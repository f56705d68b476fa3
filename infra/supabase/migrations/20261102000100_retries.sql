-- A request that comes again: known by its Idempotency-Key, or by its body where the client says that it sent it before.
alter table gateway.accounts add column is_zero_retention boolean not null default false;
comment on column gateway.accounts.is_zero_retention is 'No answer is kept for this account, not even for a retry.';

-- On the hold and not on the claim: a late settlement may come long after the claim's row has gone.
alter table gateway.holds add column superseded_by uuid;
comment on column gateway.holds.superseded_by is
    'The retry that took the place of this request when its process had died. The retry pays; this one never does.';

create table gateway.replays (
    generation_id uuid primary key references gateway.holds,
    account_id    bigint not null,
    key_id        bigint not null,
    key_hmac      text,
    body_hmac     text not null,
    answer        text,
    is_erased     boolean not null default false,
    replays       int not null default 0,
    expires_at    timestamptz not null,
    created_at    timestamptz not null default now(),
    check (answer is null or not is_erased)
) with (fillfactor = 85);
comment on table gateway.replays is
    'A request''s claim to be known when it comes again, and its sealed answer once it is paid for. Gone when the request is voided, waived or superseded, or its time is over.';
comment on column gateway.replays.key_hmac is 'Of the Idempotency-Key; null where only the body tells.';
comment on column gateway.replays.replays is 'How often the answer was given again: of two like requests each gets its own retry.';
-- Sealed text does not compress.
alter table gateway.replays alter column answer set storage external;
create unique index replays_by_key on gateway.replays (key_id, key_hmac) where key_hmac is not null;
create index replays_by_body on gateway.replays (key_id, body_hmac) where key_hmac is null;
create index replays_by_account on gateway.replays (account_id);
create index replays_by_expiry on gateway.replays (expires_at);
alter table gateway.replays enable row level security;

alter table gateway.quota_usage add column kept_bytes bigint not null default 0 check (kept_bytes >= 0);
comment on column gateway.quota_usage.kept_bytes is 'Of the answers that are kept for retries of this account; they have a bound.';

create function gateway.count_kept_bytes() returns trigger
language plpgsql
as $$
begin
    update gateway.quota_usage
       set kept_bytes = kept_bytes - coalesce(octet_length(old.answer), 0)
                      + case when tg_op = 'UPDATE' then coalesce(octet_length(new.answer), 0) else 0 end
     where account_id = old.account_id;
    return null;
end $$;
create trigger count_kept_bytes_of_a_change after update of answer on gateway.replays
    for each row when (old.answer is distinct from new.answer) execute function gateway.count_kept_bytes();
create trigger count_kept_bytes_of_a_deletion after delete on gateway.replays
    for each row when (old.answer is not null) execute function gateway.count_kept_bytes();

create type gateway.claim as (key_hmacs text[], body_hmacs text[], is_retry boolean, lifetime_s int);
comment on type gateway.claim is
    'How a request is known again. Both lists have one entry per secret, newest first; key_hmacs is null without an Idempotency-Key. is_retry: the client has sent it before.';

create function gateway.read_claim(p_claim jsonb) returns gateway.claim
language plpgsql immutable
as $$
declare
    v_claim gateway.claim := jsonb_populate_record(null::gateway.claim, p_claim);
begin
    if p_claim is null then
        return null;
    end if;
    -- A claim without its hash would be known again by nothing, or by everything.
    if (cardinality(v_claim.body_hmacs) > 0 and array_position(v_claim.body_hmacs, null) is null
        and (v_claim.key_hmacs is null or cardinality(v_claim.key_hmacs) > 0 and array_position(v_claim.key_hmacs, null) is null)
        and v_claim.is_retry is not null and v_claim.lifetime_s > 0) is not true then
        raise exception 'a claim has its hashes, its sign of a retry and its life: %', p_claim using errcode = 'invalid_parameter_value';
    end if;
    return v_claim;
end $$;

create function gateway.find_claim(p_key_id bigint, p_claim gateway.claim, p_now timestamptz) returns gateway.replays
language plpgsql stable
as $$
declare
    v_found gateway.replays;
begin
    if p_claim.key_hmacs is not null then
        select * into v_found from gateway.replays
         where key_id = p_key_id and key_hmac = any (p_claim.key_hmacs) and expires_at > p_now
         order by created_at desc limit 1;
    elsif p_claim.is_retry then
        select * into v_found from gateway.replays
         where key_id = p_key_id and key_hmac is null and body_hmac = any (p_claim.body_hmacs) and expires_at > p_now
         order by replays, created_at desc limit 1;
    end if;
    return v_found;
end $$;
comment on function gateway.find_claim is
    'The earlier request that this one repeats. Without a key and without the sign of a retry none is looked for: two like requests stay two.';

-- Null is: go on. The wallet is locked and at the present, so a hold that is `held` has a process that may still answer,
-- and one that is `expired` has none.
create function gateway.answer_again(p_found gateway.replays, p_body_hmacs text[]) returns jsonb
language plpgsql
as $$
declare
    v_generation jsonb := jsonb_build_object('generation_id', p_found.generation_id);
    v_state      text;
begin
    if p_found.body_hmac <> all (p_body_hmacs) then
        return gateway.refusal(409, 'idempotency_key_reused', v_generation);
    end if;
    select state into strict v_state from gateway.holds where id = p_found.generation_id;
    if v_state = 'expired' then
        return null;
    end if;
    if v_state = 'held' then
        return gateway.refusal(409, 'idempotency_in_progress', v_generation);
    end if;
    if p_found.answer is null then
        return gateway.refusal(409, 'answer_not_stored', v_generation);
    end if;
    update gateway.replays set replays = replays + 1 where generation_id = p_found.generation_id;
    return (
        select v_generation || jsonb_build_object('verdict', 'replay', 'provider', line.provider, 'cost_nanos', line.cost_nanos,
                                                  'answer', p_found.answer)
          from gateway.usage_lines as line
         where line.generation_id = p_found.generation_id);
end $$;
comment on function gateway.answer_again is
    'What a request that came before is answered: its stored answer, or why there is none. Null when its process died and it has to run again.';

create function gateway.place_claim(p_hold gateway.holds, p_claim gateway.claim, p_superseded_id uuid) returns void
language sql
as $$
    update gateway.holds set superseded_by = p_hold.id where id = p_superseded_id;
    -- What stands under this key by now has had its time or is superseded.
    delete from gateway.replays
     where generation_id = p_superseded_id or (key_id = p_hold.key_id and key_hmac = any (p_claim.key_hmacs));
    insert into gateway.replays (generation_id, account_id, key_id, key_hmac, body_hmac, expires_at, created_at)
    values (p_hold.id, p_hold.account_id, p_hold.key_id, p_claim.key_hmacs[1], p_claim.body_hmacs[1],
            p_hold.created_at + make_interval(secs => p_claim.lifetime_s), p_hold.created_at)
$$;

create or replace function gateway.admitted(p_hold gateway.holds, p_offers gateway.offer[]) returns jsonb
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
        'policy', gateway.limits_policy(p_hold.key_id),
        'is_zero_retention', (select is_zero_retention from gateway.accounts where id = p_hold.account_id))
$$;

drop function api.admit(uuid, text[], text, text[], text[], jsonb, int, text, text);
create function api.admit(
    p_generation_id uuid,
    p_key_hmacs     text[],
    p_scope         text,
    p_models        text[],
    p_providers     text[],
    p_request       jsonb,
    p_lifetime_s    int,
    p_address       text default null,
    p_origin_host   text default null,
    p_claim         jsonb default null
) returns jsonb
-- A caller waits five seconds for the answer: a hold placed after that would be nobody's.
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v_hmacs     bytea[] := array(select decode(hmac, 'hex') from unnest(p_key_hmacs) with ordinality as given (hmac, position) order by position);
    v_bounds    gateway.bounds := gateway.read_bounds(p_request);
    v_claim     gateway.claim := gateway.read_claim(p_claim);
    v_found     gateway.replays;
    v_key       gateway.api_keys;
    v_hold      gateway.holds;
    v_offers    gateway.offer[];
    v_dearest   gateway.offer;
    v_refusal   jsonb;
    v_verdict   jsonb;
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
