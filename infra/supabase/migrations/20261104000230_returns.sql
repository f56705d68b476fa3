-- What holds had of a payment's bonus or allowances, or of a reward, when that was taken back: it is taken when it returns,
-- whichever way that is, and nothing waits for the payment to be read once more.

alter table gateway.wallets add column has_claims boolean not null default false;
comment on column gateway.wallets.has_claims is
    'Whether holds have something that is to be taken back when they let go. Read with the row that is locked anyway, so that all other wallets pay nothing for it.';
alter table gateway.lots add column is_revoked boolean not null default false;
comment on column gateway.lots.is_revoked is 'Of a reward that is not earned any more: whatever comes back to it is taken.';

create function gateway.is_short(p_payment gateway.payments) returns boolean
language sql immutable
as $$
    select p_payment.credit_of_others_nanos > 0
        or (p_payment.kind = 'plan' and p_payment.refund_credit_nanos < (gateway.payment_targets(p_payment)).refund_credit)
$$;
comment on function gateway.is_short is 'Whether less was taken of a payment''s own bonus or allowances than refunds and disputes come to.';

create function gateway.short_payments(p_account_id bigint) returns setof gateway.payments
language sql stable
as $$
    select payment.*
      from gateway.payments as payment
     where payment.id in (select source from gateway.lots
                           where account_id = p_account_id and not is_closed and kind in ('promo', 'plan'))
       and payment.account_id = p_account_id and gateway.is_short(payment)
     order by payment.id
$$;
comment on function gateway.short_payments is 'The payments of which something may still return that is to be taken.';

create function gateway.note_claims(p_account_id bigint) returns void
language plpgsql
as $$
declare
    v_has_claims boolean := exists (select from gateway.short_payments(p_account_id))
        or exists (select from gateway.lots where account_id = p_account_id and not is_closed and is_revoked);
begin
    update gateway.wallets set has_claims = v_has_claims where account_id = p_account_id and has_claims <> v_has_claims;
end $$;

create function gateway.take_own(p_payment gateway.payments, p_now timestamptz) returns void
language plpgsql
as $$
declare
    v_lot  gateway.lots;
    v_own  text := gateway.own_lot_kind(p_payment, 'promotions');
    v_kind text := case when p_payment.dispute_credit_nanos > 0 then 'dispute' else 'refund' end;
    v_key  text := 'payment:' || p_payment.id || ':' || p_payment.postings + 1 || ':returned';
    v_rest bigint;
    v_part bigint;
    v_line int := 1;
begin
    select least(p_payment.credit_of_others_nanos, coalesce(sum(remaining_nanos), 0)) into v_rest
      from gateway.lots where account_id = p_payment.account_id and source = p_payment.id and kind = v_own and not is_closed;
    if v_rest = 0 then
        return;
    end if;
    update gateway.payments set credit_of_others_nanos = credit_of_others_nanos - v_rest, postings = postings + 1 where id = p_payment.id;
    -- What others gave for it comes back as a purchase, and repays what is owed for it.
    perform gateway.give_lot(p_payment.account_id, 'purchase', p_payment.id, v_rest, 'promotions', v_kind, v_key, p_now);
    update gateway.wallets set posted_nanos = posted_nanos - v_rest where account_id = p_payment.account_id;
    for v_lot in
        select * from gateway.lots
         where account_id = p_payment.account_id and source = p_payment.id and kind = v_own and not is_closed and remaining_nanos > 0
         order by expires_at desc nulls first, id
    loop
        exit when v_rest = 0;
        v_part := least(v_rest, v_lot.remaining_nanos);
        v_line := v_line + 1;
        perform gateway.post(v_key, v_line, p_payment.account_id, gateway.house('promotions'), v_part, v_kind, v_lot.id, null, p_now, p_payment.id);
        update gateway.lots set remaining_nanos = remaining_nanos - v_part, taken_nanos = taken_nanos + v_part where id = v_lot.id;
        v_rest := v_rest - v_part;
    end loop;
end $$;
comment on function gateway.take_own is
    'Takes from a payment''s own lots what purchases or a debt stood in for. Expired lots have lapsed before this is called.';

create function gateway.take_revoked(p_account_id bigint, p_now timestamptz) returns void
language plpgsql
as $$
declare
    v_lot gateway.lots;
begin
    for v_lot in
        select * from gateway.lots where account_id = p_account_id and not is_closed and is_revoked and remaining_nanos > 0 order by id
    loop
        perform gateway.post('revocation:' || v_lot.id || ':' || v_lot.taken_nanos, 1, p_account_id, gateway.house('promotions'),
                             v_lot.remaining_nanos, 'referral', v_lot.id, null, p_now);
        update gateway.lots set remaining_nanos = 0, taken_nanos = taken_nanos + v_lot.remaining_nanos where id = v_lot.id;
        update gateway.wallets set posted_nanos = posted_nanos - v_lot.remaining_nanos where account_id = p_account_id;
    end loop;
end $$;
comment on function gateway.take_revoked is 'Takes what is left of rewards that are not earned any more; what holds have of them when they let go.';

create function gateway.take_returned(p_account_id bigint, p_now timestamptz) returns void
language plpgsql
as $$
declare
    v_payment gateway.payments;
begin
    for v_payment in select * from gateway.short_payments(p_account_id) loop
        perform gateway.take_own(v_payment, p_now);
        perform gateway.post_difference(v_payment.id, p_now);
    end loop;
    perform gateway.take_revoked(p_account_id, p_now);
    perform gateway.note_claims(p_account_id);
end $$;

create function gateway.use_returned(p_account_id bigint, p_now timestamptz) returns void
language plpgsql
as $$
declare
    v_wallet gateway.wallets;
begin
    select * into strict v_wallet from gateway.wallets where account_id = p_account_id;
    if v_wallet.has_claims then
        perform gateway.take_returned(p_account_id, p_now);
    end if;
    if v_wallet.has_claims or v_wallet.owed_nanos > 0 then
        perform gateway.repay_debt(p_account_id, p_now);
    end if;
end $$;

create or replace function gateway.bring_to_time(p_account_id bigint, p_now timestamptz) returns void
language plpgsql
as $$
declare
    v_moment timestamptz;
begin
    -- Each end of a hold is a moment of its own: what it gives back may be taken, or repay a debt, if its lot was alive then,
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
        perform gateway.use_returned(p_account_id, p_now);
    end loop;
    perform gateway.lapse_lots(p_account_id, p_now, p_now);
    perform gateway.use_returned(p_account_id, p_now);
end $$;
comment on function gateway.bring_to_time is
    'Brings a locked wallet to the given time: overdue holds let go, expired lots lapse, what was taken back is taken, debts are repaid from purchases. So nothing depends on a job having run.';
