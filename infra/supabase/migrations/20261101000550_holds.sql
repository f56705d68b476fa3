-- How a hold goes on and how it ends: extended, voided, settled, expired. Every end starts with the wallet's lock.

create function gateway.lock_hold(p_hold_id uuid, out hold gateway.holds, out at timestamptz)
language plpgsql
as $$
declare
    v_account_id bigint;
begin
    select account_id into v_account_id from gateway.holds where id = p_hold_id;
    if not found then
        return;
    end if;
    at := gateway.lock_wallet(v_account_id);
    perform gateway.bring_to_time(v_account_id, at);
    select * into hold from gateway.holds where id = p_hold_id;
end $$;

create function api.extend_hold(p_generation_id uuid, p_price_id bigint, p_quantities jsonb) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v           record;
    v_total     bigint;
    v_extra     bigint;
    v_refusal   jsonb;
    v_available bigint;
begin
    select * into v from gateway.lock_hold(p_generation_id);
    if (v.hold).id is null then
        return gateway.refusal(404, 'unknown_hold');
    end if;
    if (v.hold).state <> 'held' then
        return gateway.refusal(409, 'hold_ended', jsonb_build_object('state', (v.hold).state));
    end if;
    select gateway.amount_to_hold(price.price, gateway.read_quantities(p_quantities)) into strict v_total
      from gateway.prices as price where price.id = p_price_id;
    -- The total is absolute, so asking twice takes once, and a smaller one takes nothing.
    v_extra := v_total - (v.hold).amount_nanos;
    if v_extra > 0 then
        select gateway.spend_limit_refusal(key, v_extra, v.at) into strict v_refusal
          from gateway.api_keys as key where key.id = (v.hold).key_id;
        if v_refusal is not null then
            return v_refusal;
        end if;
        v_available := gateway.take_into_hold(p_generation_id, (v.hold).account_id, v_extra, v.at);
        if v_available < v_extra then
            return gateway.refusal(402, 'insufficient_credits', jsonb_build_object(
                'available_nanos', v_available, 'required_nanos', v_extra));
        end if;
        update gateway.holds set amount_nanos = v_total, extensions = extensions + 1 where id = p_generation_id;
    end if;
    return jsonb_build_object('verdict', 'extended', 'amount_nanos', greatest(v_total, (v.hold).amount_nanos));
end $$;
comment on function api.extend_hold is 'Raises a live hold to what the given total quantities cost. Refused once the hold has ended or its time is over.';

create function api.void_hold(p_generation_id uuid) returns jsonb
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
    perform gateway.uncount_request((v.hold).account_id, (v.hold).key_id, (v.hold).created_at);
    return jsonb_build_object('verdict', 'voided', 'released_nanos', (v.hold).amount_nanos);
end $$;
comment on function api.void_hold is 'Ends a hold at no charge. Only for a request that reached no provider.';

create function gateway.spend_parts(p_hold gateway.holds, p_now timestamptz, inout rest bigint, inout line int)
language plpgsql
as $$
declare
    v_part record;
    v_used bigint;
begin
    for v_part in select position, lot_id, amount_nanos from gateway.hold_parts where hold_id = p_hold.id order by position loop
        exit when rest = 0;
        v_used := least(rest, v_part.amount_nanos);
        line := line + 1;
        perform gateway.post('settle:' || p_hold.id, line, p_hold.account_id, gateway.house('revenue'), v_used, 'usage',
                             v_part.lot_id, p_hold.id, p_now);
        update gateway.lots set spent_nanos = spent_nanos + v_used where id = v_part.lot_id;
        if v_used = v_part.amount_nanos then
            delete from gateway.hold_parts where hold_id = p_hold.id and position = v_part.position;
        else
            update gateway.hold_parts set amount_nanos = amount_nanos - v_used
             where hold_id = p_hold.id and position = v_part.position;
        end if;
        rest := rest - v_used;
    end loop;
    perform gateway.return_parts(p_hold.id);
end $$;

create function gateway.spend_free(p_hold gateway.holds, p_now timestamptz, inout rest bigint, inout line int)
language plpgsql
as $$
declare
    v_lot  gateway.lots;
    v_used bigint;
begin
    for v_lot in select * from gateway.live_lots(p_hold.account_id, p_now) loop
        exit when rest = 0;
        v_used := least(rest, v_lot.remaining_nanos);
        line := line + 1;
        perform gateway.post('settle:' || p_hold.id, line, p_hold.account_id, gateway.house('revenue'), v_used, 'usage',
                             v_lot.id, p_hold.id, p_now);
        update gateway.lots set remaining_nanos = remaining_nanos - v_used, spent_nanos = spent_nanos + v_used where id = v_lot.id;
        rest := rest - v_used;
    end loop;
end $$;

create function gateway.settlement(p_line gateway.usage_lines, p_is_repeated boolean) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'verdict', 'settled', 'cost_nanos', p_line.cost_nanos, 'charged_nanos', p_line.charged_nanos,
        'shortfall_nanos', p_line.shortfall_nanos, 'provider_cost_nanos', p_line.provider_cost_nanos,
        'cost_excess_nanos', p_line.cost_excess_nanos, 'is_late', p_line.is_late, 'is_repeated', p_is_repeated)
$$;

create function api.settle(
    p_generation_id       uuid,
    p_price_id            bigint,
    p_quantities          jsonb,
    p_usage_source        text,
    p_facts               jsonb,
    p_reported_cost_nanos bigint default null,
    p_waived_reason       text default null
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
        return gateway.settlement(v_line, true);
    end if;
    if (v.hold).state = 'voided' then
        return gateway.refusal(409, 'hold_voided');
    end if;
    select * into strict v_price from gateway.prices where id = p_price_id;

    v_line.list_cost_nanos := gateway.amount(v_price.price, v_quantities);
    v_line.cost_nanos := case when p_waived_reason is null then v_line.list_cost_nanos else 0 end;
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
    v_line.waived_reason := p_waived_reason;
    v_line.outcome := p_facts ->> 'outcome';
    v_line.is_stream := (p_facts ->> 'is_stream')::boolean;
    v_line.attempts := coalesce(p_facts -> 'attempts', '[]');
    v_line.first_byte_ms := (p_facts ->> 'first_byte_ms')::int;
    v_line.duration_ms := (p_facts ->> 'duration_ms')::int;
    v_line.created_at := v.at;
    insert into gateway.usage_lines select v_line.*;

    perform gateway.count_spend(v_line);
    perform gateway.bring_to_time((v.hold).account_id, v.at);
    return gateway.settlement(v_line, false);
end $$;
comment on function api.settle is
    'Charges what a request used: from its hold, then from what is free, the rest to the house. Settling again answers the first settlement and moves nothing.';

create function api.expire_holds(p_limit int default 500) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v_account_id bigint;
    v_count      int := 0;
    v_now        timestamptz := gateway.clock();
begin
    for v_account_id in
        select account_id from gateway.wallets
         where account_id in (
               (select account_id from gateway.holds where state = 'held' and expires_at <= v_now order by expires_at limit p_limit)
               union
               (select account_id from gateway.lots
                 where not is_closed and remaining_nanos > 0 and expires_at <= v_now order by expires_at limit p_limit))
         order by account_id
           for no key update skip locked
    loop
        perform gateway.bring_to_time(v_account_id, v_now);
        v_count := v_count + 1;
    end loop;
    return jsonb_build_object('wallets', v_count);
end $$;
comment on function api.expire_holds is
    'Brings wallets with overdue holds or expired lots to the present. Busy wallets are passed over: they do it themselves.';
create index lots_by_expiry on gateway.lots (expires_at) where not is_closed and expires_at is not null;
