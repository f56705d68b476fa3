-- Credit given and taken back.
create function gateway.counterparty(p_kind text) returns bigint
language sql immutable
as $$
    select gateway.house(case
        when p_kind in ('purchase', 'refund', 'dispute') then 'stripe'
        when p_kind = 'admin' then 'adjustments'
        else 'promotions' end)
$$;

create function gateway.take_back(
    p_account_id bigint, p_amount bigint, p_kind text, p_key text, p_source text, p_now timestamptz
) returns jsonb
language plpgsql
as $$
declare
    v_lot  gateway.lots;
    v_rest bigint := p_amount;
    v_part bigint;
    v_line int := 0;
begin
    if p_kind not in ('refund', 'dispute', 'admin') then
        raise exception 'credit is not taken back as %', p_kind using errcode = 'invalid_parameter_value';
    end if;
    -- The payment's own lots first, those of months to come too, then other purchases; trials, plans and promotions that
    -- came from elsewhere are not the payer's to give back.
    for v_lot in
        select * from gateway.lots
         where account_id = p_account_id and not is_closed and remaining_nanos > 0 and (expires_at is null or expires_at > p_now)
           and (kind = 'purchase' or (p_kind = 'admin' and kind = 'admin') or source = p_source)
         order by (source = p_source) is true desc, expires_at nulls last, id
    loop
        exit when v_rest = 0;
        v_part := least(v_rest, v_lot.remaining_nanos);
        v_line := v_line + 1;
        perform gateway.post(p_key, v_line, p_account_id, gateway.counterparty(p_kind), v_part, p_kind, v_lot.id, null, p_now);
        update gateway.lots set remaining_nanos = remaining_nanos - v_part, taken_nanos = taken_nanos + v_part where id = v_lot.id;
        v_rest := v_rest - v_part;
    end loop;
    if v_rest > 0 then
        v_line := v_line + 1;
        perform gateway.post(p_key, v_line, gateway.house('receivable'), gateway.counterparty(p_kind), v_rest, 'owed', null, null, p_now);
    end if;
    update gateway.wallets
       set posted_nanos = posted_nanos - (p_amount - v_rest), owed_nanos = owed_nanos + v_rest
     where account_id = p_account_id;
    return jsonb_build_object('verdict', 'credited', 'moved_nanos', v_rest - p_amount, 'owed_nanos', v_rest, 'is_repeated', false);
end $$;
comment on function gateway.take_back is 'Takes credit back; never what a hold leans on. What is already spent is owed, and repaid by the next purchase.';

create function api.credit_account(
    p_account_id      bigint,
    p_amount_nanos    bigint,
    p_kind            text,
    p_idempotency_key text,
    p_source          text default null,
    p_live_from       timestamptz default null,
    p_expires_at      timestamptz default null
) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v_now    timestamptz;
    v_lot_id bigint;
    v_key    text := 'credit:' || p_account_id || ':' || p_idempotency_key;
    v_moved  bigint;
    v_owed   bigint;
    v_lines  int;
begin
    if p_amount_nanos = 0 or p_amount_nanos is null then
        return gateway.refusal(400, 'zero_amount');
    end if;
    v_now := gateway.lock_wallet(p_account_id);
    if v_now is null then
        return gateway.refusal(404, 'unknown_account');
    end if;
    perform gateway.bring_to_time(p_account_id, v_now);

    select count(*), coalesce(sum(case when credit_account = p_account_id then amount_nanos
                                       when debit_account = p_account_id then -amount_nanos else 0 end), 0),
           coalesce(sum(amount_nanos) filter (where kind = 'owed'), 0)
      into v_lines, v_moved, v_owed
      from gateway.transfers where idempotency_key = v_key;
    if v_lines > 0 then
        if v_moved - v_owed <> p_amount_nanos then
            return gateway.refusal(409, 'idempotency_key_reused', jsonb_build_object('amount_nanos', v_moved - v_owed));
        end if;
        return jsonb_build_object('verdict', 'credited', 'moved_nanos', v_moved, 'owed_nanos', v_owed, 'is_repeated', true);
    end if;

    if p_amount_nanos < 0 then
        return gateway.take_back(p_account_id, -p_amount_nanos, p_kind, v_key, p_source, v_now);
    end if;
    insert into gateway.lots (account_id, kind, source, amount_nanos, remaining_nanos, live_from, expires_at, created_at)
    values (p_account_id, p_kind, p_source, p_amount_nanos, p_amount_nanos, p_live_from, p_expires_at, v_now)
    returning id into v_lot_id;
    perform gateway.post(v_key, 1, gateway.counterparty(p_kind), p_account_id, p_amount_nanos, p_kind, v_lot_id, null, v_now);
    update gateway.wallets set posted_nanos = posted_nanos + p_amount_nanos where account_id = p_account_id;
    perform gateway.bring_to_time(p_account_id, v_now);
    return jsonb_build_object('verdict', 'credited', 'moved_nanos', p_amount_nanos, 'owed_nanos', 0, 'is_repeated', false,
                              'lot_id', v_lot_id);
end $$;
comment on function api.credit_account is
    'Adds a lot (amount > 0) or takes credit back (amount < 0), once per idempotency key of the account; the same key with another amount is refused.';

create function api.read_balance(p_account_id bigint) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v_now timestamptz := gateway.lock_wallet(p_account_id);
begin
    if v_now is null then
        return null;
    end if;
    perform gateway.bring_to_time(p_account_id, v_now);
    return (
        select jsonb_build_object(
                   'posted_nanos', wallet.posted_nanos, 'owed_nanos', wallet.owed_nanos,
                   'held_nanos', (select coalesce(sum(amount_nanos), 0)::bigint from gateway.holds
                                   where account_id = p_account_id and state = 'held'),
                   'available_nanos', gateway.available(p_account_id, v_now))
          from gateway.wallets as wallet
         where wallet.account_id = p_account_id);
end $$;
comment on function api.read_balance is
    'What a wallet holds now: it is brought to the present first, so that no sweep has to run. Null for an unknown account.';
