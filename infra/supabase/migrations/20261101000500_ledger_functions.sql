-- How money moves. Every function here that changes a wallet runs under that wallet's row lock.
-- The functions of api that a request calls keep one plan per statement (enable_seqscan, plan_cache_mode): a plan made while
-- a table is small would be a sequential scan for ever, and planning anew took half of the time of an admission.

create function gateway.lock_wallet(p_account_id bigint) returns timestamptz
language plpgsql
as $$
begin
    -- The lock is a statement of its own and whatever is read after it is read in the next: a statement that locks and
    -- sums at once sums what it saw before it waited, and admitted 26 of 300 requests where 10 were paid for.
    perform from gateway.wallets where account_id = p_account_id for no key update;
    if not found then
        return null;
    end if;
    return gateway.clock();
end $$;
comment on function gateway.lock_wallet is 'Locks a wallet and tells the time after the wait; null when there is no such wallet.';

create function gateway.post(
    p_key text, p_line int, p_debit bigint, p_credit bigint, p_amount bigint, p_kind text,
    p_lot_id bigint, p_generation_id uuid, p_now timestamptz
) returns void
language sql
as $$
    insert into gateway.transfers (idempotency_key, line_number, debit_account, credit_account, amount_nanos, kind,
                                   account_id, lot_id, generation_id, created_at)
    values (p_key, p_line, p_debit, p_credit, p_amount, p_kind,
            case when p_debit >= 1000 then p_debit when p_credit >= 1000 then p_credit end, p_lot_id, p_generation_id, p_now)
$$;

create function gateway.live_lots(p_account_id bigint, p_now timestamptz) returns setof gateway.lots
language sql stable
as $$
    select *
      from gateway.lots
     where account_id = p_account_id and not is_closed and remaining_nanos > 0
       and (live_from is null or live_from <= p_now)
       and (expires_at is null or expires_at > p_now)
     order by expires_at nulls last, id
$$;
comment on function gateway.live_lots is 'What can be spent now, in the order it is spent: earliest expiry first.';

create function gateway.available(p_account_id bigint, p_now timestamptz) returns bigint
language sql stable
as $$ select coalesce(sum(remaining_nanos), 0)::bigint from gateway.live_lots(p_account_id, p_now) $$;

create function gateway.return_parts(p_hold_id uuid) returns void
language sql
as $$
    with returned as (
        delete from gateway.hold_parts where hold_id = p_hold_id returning lot_id, amount_nanos
    )
    update gateway.lots as lot
       set remaining_nanos = lot.remaining_nanos + part.amount_nanos
      from (select lot_id, sum(amount_nanos)::bigint as amount_nanos from returned group by lot_id) as part
     where lot.id = part.lot_id
$$;
comment on function gateway.return_parts is 'Gives a hold''s money back to its lots, expired ones too: bring_to_time then takes it from those.';

create function gateway.lapse_lots(p_account_id bigint, p_moment timestamptz, p_now timestamptz) returns void
language plpgsql
as $$
declare
    v_lot    gateway.lots;
    v_lapsed bigint := 0;
begin
    for v_lot in
        select * from gateway.lots
         where account_id = p_account_id and not is_closed and remaining_nanos > 0 and expires_at <= p_moment
    loop
        -- What has lapsed before is part of the key: a lot lapses again when a hold gives back to it later.
        perform gateway.post('breakage:' || v_lot.id || ':' || v_lot.lapsed_nanos, 1, p_account_id, gateway.house('breakage'),
                             v_lot.remaining_nanos, 'breakage', v_lot.id, null, p_now);
        update gateway.lots set remaining_nanos = 0, lapsed_nanos = lapsed_nanos + v_lot.remaining_nanos where id = v_lot.id;
        v_lapsed := v_lapsed + v_lot.remaining_nanos;
    end loop;
    update gateway.wallets set posted_nanos = posted_nanos - v_lapsed where account_id = p_account_id and v_lapsed > 0;
end $$;
comment on function gateway.lapse_lots is 'Moves what is left in lots that had expired at a moment to breakage.';

create function gateway.repay_debt(p_account_id bigint, p_now timestamptz) returns void
language plpgsql
as $$
declare
    v_lot    gateway.lots;
    v_owed   bigint;
    v_part   bigint;
    v_repaid bigint := 0;
begin
    select owed_nanos into strict v_owed from gateway.wallets where account_id = p_account_id;
    if v_owed = 0 then
        return;
    end if;
    for v_lot in
        select * from gateway.lots
         where account_id = p_account_id and not is_closed and remaining_nanos > 0 and kind = 'purchase'
         order by expires_at nulls last, id
    loop
        exit when v_repaid = v_owed;
        v_part := least(v_owed - v_repaid, v_lot.remaining_nanos);
        perform gateway.post('repayment:' || v_lot.id || ':' || v_lot.taken_nanos, 1, p_account_id, gateway.house('receivable'),
                             v_part, 'repayment', v_lot.id, null, p_now);
        update gateway.lots set remaining_nanos = remaining_nanos - v_part, taken_nanos = taken_nanos + v_part where id = v_lot.id;
        v_repaid := v_repaid + v_part;
    end loop;
    update gateway.wallets set posted_nanos = posted_nanos - v_repaid, owed_nanos = owed_nanos - v_repaid
     where account_id = p_account_id and v_repaid > 0;
end $$;
comment on function gateway.repay_debt is
    'Repays what is owed from purchases, those that are not live yet too. Expired lots have lapsed before this is called.';

create function gateway.bring_to_time(p_account_id bigint, p_now timestamptz) returns void
language plpgsql
as $$
declare
    v_moment timestamptz;
begin
    -- Each end of a hold is a moment of its own: what it gives back may repay a debt if its lot was alive then,
    -- however long afterwards this runs.
    for v_moment in
        select distinct expires_at from gateway.holds
         where account_id = p_account_id and state = 'held' and expires_at <= p_now order by expires_at
    loop
        perform gateway.return_parts(id) from gateway.holds
          where account_id = p_account_id and state = 'held' and expires_at = v_moment;
        update gateway.holds set state = 'expired', ended_at = p_now
         where account_id = p_account_id and state = 'held' and expires_at = v_moment;
        perform gateway.lapse_lots(p_account_id, v_moment, p_now);
        perform gateway.repay_debt(p_account_id, p_now);
    end loop;
    perform gateway.lapse_lots(p_account_id, p_now, p_now);
    perform gateway.repay_debt(p_account_id, p_now);
end $$;
comment on function gateway.bring_to_time is
    'Brings a locked wallet to the given time: overdue holds let go, expired lots lapse, debts are repaid from purchases. So nothing depends on a job having run.';

create function gateway.take_into_hold(p_hold_id uuid, p_account_id bigint, p_amount bigint, p_now timestamptz) returns bigint
language plpgsql
as $$
declare
    v_available bigint := gateway.available(p_account_id, p_now);
    v_rest      bigint := p_amount;
    v_position  smallint;
    v_part      bigint;
    v_lot       gateway.lots;
begin
    if p_amount > v_available or p_amount <= 0 then
        return v_available;
    end if;
    select coalesce(max(position), 0) into v_position from gateway.hold_parts where hold_id = p_hold_id;
    for v_lot in select * from gateway.live_lots(p_account_id, p_now) loop
        exit when v_rest = 0;
        v_part := least(v_rest, v_lot.remaining_nanos);
        v_position := v_position + 1;
        insert into gateway.hold_parts (hold_id, position, lot_id, amount_nanos) values (p_hold_id, v_position, v_lot.id, v_part);
        update gateway.lots set remaining_nanos = remaining_nanos - v_part where id = v_lot.id;
        v_rest := v_rest - v_part;
    end loop;
    if v_rest > 0 then
        -- Sum and lots are read under one lock, so this cannot be. Should it ever be, nothing may be admitted on it.
        raise exception 'hold % was to take % more than its lots had', p_hold_id, v_rest using errcode = 'data_corrupted';
    end if;
    return v_available;
end $$;
comment on function gateway.take_into_hold is
    'Moves an amount out of the live lots into a hold, all or nothing. Answers what was available before; less than the amount means nothing moved.';

create function gateway.refusal(p_status int, p_code text, p_numbers jsonb default '{}') returns jsonb
language sql immutable
as $$ select jsonb_build_object('verdict', 'refused', 'status', p_status, 'code', p_code, 'numbers', p_numbers) $$;
comment on function gateway.refusal is
    'A refusal is an answer, not an exception: an exception would undo what the refusal must leave behind, such as overdue holds let go.';
