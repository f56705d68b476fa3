-- A settlement keeps what the request asked and the provider's name for its answer, and the answer itself for a retry.
alter table gateway.usage_lines add column request jsonb, add column upstream_id text;
comment on column gateway.usage_lines.request is 'What was asked, without a word of it.';
comment on column gateway.usage_lines.upstream_id is 'The provider''s own name for the answer.';

create function gateway.keep_answer(p_generation_id uuid, p_answer text, p_now timestamptz) returns void
language sql
as $$
    -- 64 MiB an account: some 10,000 answers at once, and little enough that no customer fills the database.
    update gateway.replays as replay
       set answer = p_answer
      from gateway.accounts as account join gateway.quota_usage as quota on quota.account_id = account.id
     where replay.generation_id = p_generation_id and account.id = replay.account_id and not account.is_zero_retention
       and quota.kept_bytes + octet_length(p_answer) <= 67108864
       and replay.answer is null and not replay.is_erased and replay.expires_at > p_now
$$;
comment on function gateway.keep_answer is
    'Keeps a sealed answer for a retry: the first one, while the claim lives and its account has room, and nothing of an account without retention or once it was erased.';

create or replace function gateway.count_spend(p_line gateway.usage_lines) returns void
language plpgsql
as $$
declare
    -- What the house pays for does not use up the customer's quota.
    v_tokens bigint := case when p_line.waived_reason is not null then 0 else
                       coalesce((p_line.quantities).input_tokens, 0) + coalesce((p_line.quantities).cached_input_tokens, 0)
                     + coalesce((p_line.quantities).cache_write_tokens, 0) + coalesce((p_line.quantities).output_tokens, 0) end;
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

create or replace function api.void_hold(p_generation_id uuid) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v record;
begin
    select * into v from gateway.lock_hold(p_generation_id);
    if (v.hold).id is null then
        return gateway.refusal(404, 'unknown_hold');
    end if;
    if (v.hold).state <> 'held' then
        return jsonb_build_object('verdict', 'unchanged', 'state', (v.hold).state);
    end if;
    update gateway.holds set state = 'voided', ended_at = v.at where id = p_generation_id;
    perform gateway.return_parts(p_generation_id);
    perform gateway.bring_to_time((v.hold).account_id, v.at);
    delete from gateway.replays where generation_id = p_generation_id;
    perform gateway.uncount_request((v.hold).account_id, (v.hold).key_id, (v.hold).created_at);
    return jsonb_build_object('verdict', 'voided', 'released_nanos', (v.hold).amount_nanos);
end $$;
comment on function api.void_hold is
    'Ends a hold at no charge and frees its Idempotency-Key. Only for a request that reached no provider.';

drop function api.settle(uuid, bigint, jsonb, text, jsonb, bigint, text);
create function api.settle(
    p_generation_id       uuid,
    p_price_id            bigint,
    p_quantities          jsonb,
    p_usage_source        text,
    p_facts               jsonb,
    p_reported_cost_nanos bigint default null,
    p_waived_reason       text default null,
    p_answer              text default null
) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v            record;
    v_line       gateway.usage_lines;
    v_price      gateway.prices;
    v_quantities gateway.quantities := gateway.read_quantities(p_quantities);
    v_computed   bigint;
    v_rest       bigint;
    v_number     int := 0;
begin
    select * into v from gateway.lock_hold(p_generation_id);
    if (v.hold).id is null then
        return gateway.refusal(404, 'unknown_hold');
    end if;
    select * into v_line from gateway.usage_lines where generation_id = p_generation_id;
    if found then
        if p_answer is not null then
            perform gateway.keep_answer(p_generation_id, p_answer, v.at);
        end if;
        return gateway.settlement(v_line, true);
    end if;
    if (v.hold).state = 'voided' then
        return gateway.refusal(409, 'hold_voided');
    end if;
    select * into strict v_price from gateway.prices where id = p_price_id;

    v_line.waived_reason := coalesce(p_waived_reason, case when (v.hold).superseded_by is not null then 'superseded' end);
    v_line.list_cost_nanos := gateway.amount(v_price.price, v_quantities);
    v_line.cost_nanos := case when v_line.waived_reason is null then v_line.list_cost_nanos else 0 end;
    v_line.is_late := (v.hold).state = 'expired';
    v_rest := v_line.cost_nanos;
    if v_line.is_late then
        update gateway.holds set state = 'settled_late' where id = p_generation_id;
    else
        select rest, line into v_rest, v_number from gateway.spend_parts(v.hold, v.at, v_rest, v_number);
        update gateway.holds set state = 'settled', ended_at = v.at where id = p_generation_id;
    end if;
    if v_rest > 0 then
        select rest, line into v_rest, v_number from gateway.spend_free(v.hold, v.at, v_rest, v_number);
    end if;
    v_line.shortfall_nanos := v_rest;
    v_line.charged_nanos := v_line.cost_nanos - v_rest;
    update gateway.wallets set posted_nanos = posted_nanos - v_line.charged_nanos
     where account_id = (v.hold).account_id and v_line.charged_nanos > 0;
    if v_rest > 0 then
        v_number := v_number + 1;
        perform gateway.post('settle:' || p_generation_id, v_number, gateway.house('shortfall'), gateway.house('revenue'),
                             v_rest, 'shortfall', null, p_generation_id, v.at);
    end if;

    v_computed := gateway.amount(v_price.cost, v_quantities);
    v_line.provider_cost_nanos := least(v_computed, coalesce(p_reported_cost_nanos, v_computed));
    v_line.cost_excess_nanos := greatest(0, coalesce(p_reported_cost_nanos, v_computed) - v_computed);
    if v_line.provider_cost_nanos > 0 then
        v_number := v_number + 1;
        perform gateway.post('settle:' || p_generation_id, v_number, gateway.house('provider_cost'),
                             gateway.house('provider_payable'), v_line.provider_cost_nanos, 'provider_cost', null, p_generation_id, v.at);
    end if;
    if v_line.cost_excess_nanos > 0 then
        v_number := v_number + 1;
        perform gateway.post('settle:' || p_generation_id, v_number, gateway.house('shortfall'),
                             gateway.house('provider_payable'), v_line.cost_excess_nanos, 'cost_excess', null, p_generation_id, v.at);
    end if;

    v_line.generation_id := p_generation_id;
    v_line.account_id := (v.hold).account_id;
    v_line.key_id := (v.hold).key_id;
    v_line.model_id := v_price.model_id;
    v_line.provider := v_price.provider;
    v_line.price_id := p_price_id;
    v_line.quantities := v_quantities;
    v_line.reasoning_tokens := coalesce((p_facts ->> 'reasoning_tokens')::int, 0);
    v_line.usage_source := p_usage_source;
    v_line.outcome := p_facts ->> 'outcome';
    v_line.is_stream := (p_facts ->> 'is_stream')::boolean;
    v_line.attempts := coalesce(p_facts -> 'attempts', '[]');
    v_line.first_byte_ms := (p_facts ->> 'first_byte_ms')::int;
    v_line.duration_ms := (p_facts ->> 'duration_ms')::int;
    v_line.request := nullif(p_facts -> 'request', 'null');
    v_line.upstream_id := p_facts ->> 'upstream_id';
    v_line.created_at := v.at;
    insert into gateway.usage_lines select v_line.*;

    if v_line.waived_reason is not null then
        delete from gateway.replays where generation_id = p_generation_id;
    elsif p_answer is not null then
        perform gateway.keep_answer(p_generation_id, p_answer, v.at);
    end if;
    perform gateway.count_spend(v_line);
    perform gateway.bring_to_time((v.hold).account_id, v.at);
    return gateway.settlement(v_line, false);
end $$;
comment on function api.settle is
    'Charges what a request used: from its hold, then from what is free, the rest to the house; nothing where a retry has taken its place. Settling again answers the first settlement and moves nothing.';

create function api.erase_answers(p_limit int default 1000) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v_count int;
begin
    if not pg_try_advisory_xact_lock(hashtext('gateway.erase_answers')) then
        -- Another sweep is at it. Two would meet at their accounts' counts, each in its own order.
        return jsonb_build_object('count', 0);
    end if;
    delete from gateway.replays
     where generation_id in (select generation_id from gateway.replays where expires_at <= gateway.clock()
                              order by expires_at limit p_limit for update skip locked);
    get diagnostics v_count = row_count;
    return jsonb_build_object('count', v_count);
end $$;
comment on function api.erase_answers is 'Deletes claims whose time is over, with their answers. The ledger keeps the bill.';
