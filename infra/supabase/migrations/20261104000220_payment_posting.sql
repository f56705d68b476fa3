-- How a payment reaches the ledger: what it gives once, and what is taken back of it as a difference to what was posted before.
-- All of it runs under the account's and the wallet's lock.

create function gateway.share_gone(p_nanos bigint, p_received_cents bigint, p_gone_cents bigint) returns bigint
language sql immutable
as $$
    -- What stays is rounded down, so that the parts of a payment that goes back in pieces add up to all of it.
    select case when p_received_cents = 0 then 0
                else p_nanos - div(p_nanos::numeric * greatest(p_received_cents - p_gone_cents, 0), p_received_cents)::bigint end
$$;
comment on function gateway.share_gone is 'How much of an amount goes when so many cents of its payment are gone.';

create function gateway.payment_targets(
    p_payment gateway.payments,
    out refund_money bigint, out dispute_money bigint, out refund_credit bigint, out dispute_credit bigint
)
language sql immutable
as $$
    select refunded.money, gone.money - refunded.money, refunded.credit, gone.credit - refunded.credit
      from (select gateway.share_gone(p_payment.money_nanos, p_payment.received_cents, p_payment.refunded_cents),
                   gateway.share_gone(p_payment.bonus_nanos + p_payment.credit_nanos, p_payment.received_cents, p_payment.refunded_cents)
           ) as refunded (money, credit),
           (select gateway.share_gone(p_payment.money_nanos, p_payment.received_cents, p_payment.refunded_cents + p_payment.disputed_cents),
                   gateway.share_gone(p_payment.bonus_nanos + p_payment.credit_nanos, p_payment.received_cents,
                                      p_payment.refunded_cents + p_payment.disputed_cents)
           ) as gone (money, credit)
$$;
comment on function gateway.payment_targets is
    'What refunds and disputes take of a payment, by Stripe''s numbers alone: whatever came before, and in which order, the sum is this one.';

create function gateway.own_lot_kind(p_payment gateway.payments, p_house text) returns text
language sql immutable
as $$ select case when p_house = 'stripe' then 'purchase' when p_payment.kind = 'plan' then 'plan' else 'promo' end $$;
comment on function gateway.own_lot_kind is 'In which lots a payment''s money (house stripe), or its bonus or allowances (house promotions), came.';

create function gateway.give_lot(
    p_account_id bigint, p_kind text, p_source text, p_amount bigint, p_house text, p_line_kind text, p_key text, p_now timestamptz
) returns void
language plpgsql
as $$
declare
    v_lot_id bigint;
begin
    insert into gateway.lots (account_id, kind, source, amount_nanos, remaining_nanos, created_at)
    values (p_account_id, p_kind, p_source, p_amount, p_amount, p_now)
    returning id into v_lot_id;
    perform gateway.post(p_key, 1, gateway.house(p_house), p_account_id, p_amount, p_line_kind, v_lot_id, null, p_now, p_source);
    update gateway.wallets set posted_nanos = posted_nanos + p_amount where account_id = p_account_id;
end $$;

create function gateway.take_for_payment(
    p_payment gateway.payments, p_house text, p_amount bigint, p_kind text, p_key text, p_now timestamptz
) returns bigint
language plpgsql
as $$
declare
    v_own    text := gateway.own_lot_kind(p_payment, p_house);
    v_lot    record;
    v_part   bigint;
    v_rest   bigint := p_amount;
    v_others bigint := 0;
    v_line   int := 0;
begin
    -- Of an allowance the months to come go first: those are what was not used.
    for v_lot in
        select lot.id, lot.remaining_nanos, own.is_own
          from gateway.lots as lot, lateral (select (lot.source = p_payment.id and lot.kind = v_own) is true) as own (is_own)
         where lot.account_id = p_payment.account_id and not lot.is_closed and lot.remaining_nanos > 0
           and (own.is_own or lot.kind = 'purchase')
         order by own.is_own desc, case when own.is_own then lot.expires_at end desc nulls first, lot.expires_at nulls last, lot.id
    loop
        exit when v_rest = 0;
        v_part := least(v_rest, v_lot.remaining_nanos);
        v_line := v_line + 1;
        perform gateway.post(p_key, v_line, p_payment.account_id, gateway.house(p_house), v_part, p_kind, v_lot.id, null, p_now, p_payment.id);
        update gateway.lots set remaining_nanos = remaining_nanos - v_part, taken_nanos = taken_nanos + v_part where id = v_lot.id;
        v_others := v_others + case when v_lot.is_own then 0 else v_part end;
        v_rest := v_rest - v_part;
    end loop;
    if v_rest > 0 then
        perform gateway.post(p_key, v_line + 1, gateway.house('receivable'), gateway.house(p_house), v_rest, 'owed', null, null, p_now, p_payment.id);
    end if;
    update gateway.wallets set posted_nanos = posted_nanos - (p_amount - v_rest), owed_nanos = owed_nanos + v_rest
     where account_id = p_payment.account_id;
    return v_others + v_rest;
end $$;
comment on function gateway.take_for_payment is
    'Takes back from a payment''s own lots, then from other purchases; the rest is owed. Answers what was not in its own lots. Expired lots have lapsed before.';

create function gateway.give_back_for_payment(
    p_payment gateway.payments, p_house text, p_amount bigint, p_kind text, p_key text, p_now timestamptz
) returns bigint
language plpgsql
as $$
declare
    v_own    text := gateway.own_lot_kind(p_payment, p_house);
    -- What had come from elsewhere comes back first, as a purchase, so that what is owed for it is repaid.
    v_others bigint := case when v_own = 'purchase' then p_amount else least(p_amount, p_payment.credit_of_others_nanos) end;
    v_rest   bigint := p_amount - v_others;
    v_lot    gateway.lots;
    v_part   bigint;
    v_line   int := 1;
begin
    if v_others > 0 then
        perform gateway.give_lot(p_payment.account_id, 'purchase', p_payment.id, v_others, p_house, p_kind, p_key, p_now);
    end if;
    -- The rest goes back where it was, with the life that it had; of a lot whose time is over it lapses at once.
    for v_lot in
        select * from gateway.lots
         where account_id = p_payment.account_id and source = p_payment.id and kind = v_own and taken_nanos > 0
         order by expires_at nulls last, id
    loop
        exit when v_rest = 0;
        v_part := least(v_rest, v_lot.taken_nanos);
        v_line := v_line + 1;
        perform gateway.post(p_key, v_line, gateway.house(p_house), p_payment.account_id, v_part, p_kind, v_lot.id, null, p_now, p_payment.id);
        update gateway.lots set remaining_nanos = remaining_nanos + v_part, taken_nanos = taken_nanos - v_part where id = v_lot.id;
        update gateway.wallets set posted_nanos = posted_nanos + v_part where account_id = p_payment.account_id;
        v_rest := v_rest - v_part;
    end loop;
    if v_rest > 0 then
        raise exception 'payment % was to give back % more than was taken', p_payment.id, v_rest using errcode = 'data_corrupted';
    end if;
    return -v_others;
end $$;
comment on function gateway.give_back_for_payment is
    'Gives back what a refund that failed or a dispute that was won no longer takes. Answers, below zero, what comes back of that which was not in its own lots.';

create function gateway.move_for_payment(
    p_payment gateway.payments, p_house text, p_amount bigint, p_kind text, p_key text, p_now timestamptz
) returns bigint
language plpgsql
as $$
begin
    if p_amount = 0 then
        return 0;
    end if;
    if p_payment.kind = 'plan' and p_house = 'stripe' then
        perform gateway.post(p_key, 1, gateway.house(case when p_amount > 0 then 'revenue' else 'stripe' end),
                             gateway.house(case when p_amount > 0 then 'stripe' else 'revenue' end),
                             abs(p_amount), p_kind, null, null, p_now, p_payment.id);
        return 0;
    end if;
    if p_amount > 0 then
        return gateway.take_for_payment(p_payment, p_house, p_amount, p_kind, p_key, p_now);
    end if;
    return gateway.give_back_for_payment(p_payment, p_house, -p_amount, p_kind, p_key, p_now);
end $$;
comment on function gateway.move_for_payment is 'Takes an amount back, or gives it back where it is below zero. A plan''s money is the house''s and moves there.';

create function gateway.net_moves(inout refund bigint, inout dispute bigint)
language plpgsql immutable
as $$
declare
    v_shift bigint := least(abs(refund), abs(dispute));
begin
    -- What a refund takes of what a dispute had taken moves nothing.
    if sign(refund) = -sign(dispute) then
        dispute := dispute + sign(refund)::bigint * v_shift;
        refund := refund - sign(refund)::bigint * v_shift;
    end if;
end $$;

create function gateway.post_difference(p_payment_id text, p_now timestamptz) returns void
language plpgsql
as $$
declare
    v_payment gateway.payments;
    v_target  record;
    v_money   record;
    v_credit  record;
    v_key     text;
begin
    select * into strict v_payment from gateway.payments where id = p_payment_id;
    select * into v_target from gateway.payment_targets(v_payment);
    if v_payment.kind = 'plan' then
        -- What was used of a plan that is refunded is not asked back, as far as no dispute asks for it.
        v_target.refund_credit := least(v_target.refund_credit, greatest(v_payment.refund_credit_nanos, (
            select coalesce(sum(lot.taken_nanos + lot.remaining_nanos), 0)
              from gateway.lots as lot
             where lot.account_id = v_payment.account_id and lot.source = v_payment.id and lot.kind = 'plan')));
    end if;
    select * into v_money from gateway.net_moves(v_target.refund_money - v_payment.refund_money_nanos,
                                                 v_target.dispute_money - v_payment.dispute_money_nanos);
    select * into v_credit from gateway.net_moves(v_target.refund_credit - v_payment.refund_credit_nanos,
                                                  v_target.dispute_credit - v_payment.dispute_credit_nanos);
    v_payment.refund_money_nanos := v_target.refund_money;
    v_payment.dispute_money_nanos := v_target.dispute_money;
    v_payment.refund_credit_nanos := v_target.refund_credit;
    v_payment.dispute_credit_nanos := v_target.dispute_credit;
    if (v_money.refund, v_money.dispute, v_credit.refund, v_credit.dispute) <> (0, 0, 0, 0) then
        v_payment.postings := v_payment.postings + 1;
        v_key := 'payment:' || v_payment.id || ':' || v_payment.postings;
        perform gateway.move_for_payment(v_payment, 'stripe', v_money.refund, 'refund', v_key || ':refund', p_now);
        perform gateway.move_for_payment(v_payment, 'stripe', v_money.dispute, 'dispute', v_key || ':dispute', p_now);
        v_payment.credit_of_others_nanos := v_payment.credit_of_others_nanos
            + gateway.move_for_payment(v_payment, 'promotions', v_credit.refund, 'refund', v_key || ':refund:credit', p_now);
        v_payment.credit_of_others_nanos := v_payment.credit_of_others_nanos
            + gateway.move_for_payment(v_payment, 'promotions', v_credit.dispute, 'dispute', v_key || ':dispute:credit', p_now);
    end if;
    update gateway.payments
       set refund_money_nanos = v_payment.refund_money_nanos, dispute_money_nanos = v_payment.dispute_money_nanos,
           refund_credit_nanos = v_payment.refund_credit_nanos, dispute_credit_nanos = v_payment.dispute_credit_nanos,
           credit_of_others_nanos = v_payment.credit_of_others_nanos, postings = v_payment.postings
     where id = v_payment.id;
end $$;
comment on function gateway.post_difference is
    'Posts the difference between what Stripe says of a payment and what was posted of it. Again moves nothing. The wallet is locked and at this time.';

create function gateway.settle_payment(p_payment_id text, p_now timestamptz) returns gateway.payments
language plpgsql
as $$
declare
    v_payment gateway.payments;
begin
    perform gateway.post_difference(p_payment_id, p_now);
    select * into strict v_payment from gateway.payments where id = p_payment_id;
    -- What holds have of it is taken when they let go: a later file.
    perform gateway.note_claims(v_payment.account_id);
    perform gateway.bring_to_time(v_payment.account_id, p_now);
    select * into strict v_payment from gateway.payments where id = p_payment_id;
    return v_payment;
end $$;
comment on function gateway.settle_payment is
    'Brings what is posted of a payment to what Stripe says of it. Again moves nothing. The wallet is locked and at this time.';

create function gateway.grant_plan_payment(p_payment_id text, p_now timestamptz) returns boolean
language plpgsql
as $$
declare
    v_payment gateway.payments;
begin
    update gateway.payments as payment
       set granted_at = p_now, money_nanos = gateway.cents_in_nanos(received_cents - tax_cents)
      from gateway.accounts as account
     where payment.id = p_payment_id and payment.granted_at is null and payment.status = 'succeeded' and payment.currency = 'usd'
       and account.id = payment.account_id and account.status <> 'deleted'
    returning payment.* into v_payment;
    if not found then
        return false;
    end if;
    if v_payment.money_nanos > 0 then
        perform gateway.post('payment:' || v_payment.id, 1, gateway.house('stripe'), gateway.house('revenue'), v_payment.money_nanos,
                             'subscription', null, null, p_now, v_payment.id);
    end if;
    perform gateway.tell_of_payment(v_payment, p_now);
    return true;
end $$;
comment on function gateway.grant_plan_payment is 'Books what was paid for a plan as the house''s revenue, once. Nothing for an account that is deleted: that is paid back.';

create function gateway.keep_plan_payment(
    p_account_id bigint, p_payment_id text, p_subscription_id text, p_invoice_id text, p_received_cents bigint, p_tax_cents bigint,
    p_credit_nanos bigint, p_paid_at timestamptz, p_now timestamptz
) returns void
language plpgsql
as $$
declare
    v_payment gateway.payments;
begin
    insert into gateway.payments as payment (id, account_id, kind, subscription_id, invoice_id, status, received_cents, tax_cents, paid_at, created_at)
    values (p_payment_id, p_account_id, 'plan', p_subscription_id, p_invoice_id, 'succeeded', p_received_cents, p_tax_cents, p_paid_at, p_now)
    on conflict (id) do update
       set subscription_id = p_subscription_id, invoice_id = p_invoice_id, status = 'succeeded', paid_at = coalesce(payment.paid_at, p_paid_at),
           received_cents = case when payment.granted_at is null then p_received_cents else payment.received_cents end,
           tax_cents = case when payment.granted_at is null then p_tax_cents else payment.tax_cents end
     where payment.account_id = p_account_id and payment.kind = 'plan';
    if not found then
        raise exception 'payment % is another account''s, or not for a plan', p_payment_id using errcode = 'invalid_parameter_value';
    end if;
    perform gateway.grant_plan_payment(p_payment_id, p_now);
    update gateway.payments set credit_nanos = greatest(credit_nanos, p_credit_nanos) where id = p_payment_id and granted_at is not null;
    v_payment := gateway.settle_payment(p_payment_id, p_now);
    if v_payment.granted_at is not null then
        -- Referrals come in a later file.
        perform gateway.note_purchase(v_payment, p_now);
    end if;
end $$;
comment on function gateway.keep_plan_payment is
    'Keeps what was paid for a plan and what allowances it has given so far, in all; called under the locks, after their lots are written. Again changes nothing; what was refunded meanwhile is taken from what was added.';

create function gateway.tell_of_payment(p_payment gateway.payments, p_now timestamptz) returns void
language plpgsql
as $$
begin
    perform gateway.write_audit(p_payment.account_id, 'stripe', null, 'payment_received', p_payment.id,
                                jsonb_build_object('kind', p_payment.kind, 'received_cents', p_payment.received_cents,
                                                   'money_nanos', p_payment.money_nanos, 'bonus_nanos', p_payment.bonus_nanos), null);
    perform gateway.put_mail(p_payment.account_id, 'payment_received', jsonb_build_object(
                                 'payment_id', p_payment.id, 'kind', p_payment.kind, 'received_cents', p_payment.received_cents,
                                 'tax_cents', p_payment.tax_cents, 'receipt_url', p_payment.receipt_url,
                                 'credit_nanos', case p_payment.kind when 'credits' then p_payment.money_nanos else 0 end,
                                 'bonus_nanos', p_payment.bonus_nanos,
                                 'plan_name', (select plan.name
                                                 from gateway.subscriptions as subscription join gateway.plans as plan on plan.id = subscription.plan_id
                                                where subscription.id = p_payment.subscription_id)),
                             p_payment.id, p_now);
end $$;
comment on function gateway.tell_of_payment is 'Writes a payment that is granted into the log and to the account''s owner, once.';
