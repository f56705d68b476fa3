-- What Stripe says of a payment, taken over: any number of times, in any order, by several at once.

create type gateway.payment_told as (
    id text, customer_id text, kind text, checkout_id uuid, subscription_id text, invoice_id text, status text, currency text,
    received_cents bigint, tax_cents bigint, bought_cents bigint, refunds jsonb, disputes jsonb,
    card_fingerprint_hmacs text[], receipt_url text, paid_at bigint
);
comment on type gateway.payment_told is
    'What Stripe says of a payment at one moment, in its units: cents and seconds since 1970. bought_cents: what the session was for, without tax; kind unknown: nothing of ours led to it; card_fingerprint_hmacs: one per secret of ours, newest first.';

create function gateway.read_payment_told(p_payment jsonb) returns gateway.payment_told
language plpgsql stable
as $$
declare
    v_told gateway.payment_told := jsonb_populate_record(null::gateway.payment_told, p_payment);
begin
    if v_told.id is null or v_told.status is null or v_told.currency is null or v_told.received_cents is null or v_told.tax_cents is null
       or (v_told.kind in ('credits', 'plan', 'unknown')) is not true
       or jsonb_typeof(v_told.refunds) is distinct from 'array' or jsonb_typeof(v_told.disputes) is distinct from 'array' then
        raise exception 'a payment has its id, kind, status, currency, amounts, refunds and disputes' using errcode = 'invalid_parameter_value';
    end if;
    return v_told;
end $$;

create function gateway.refunded_cents(p_refunds jsonb) returns bigint
language sql immutable
as $$
    -- One that is pending has left our balance; one that failed has come back.
    select coalesce(sum(amount_cents), 0)::bigint from jsonb_to_recordset(p_refunds) as refund (amount_cents bigint, status text)
     where status not in ('failed', 'canceled')
$$;

create function gateway.disputed_cents(p_disputes jsonb) returns bigint
language sql immutable
as $$
    -- An inquiry takes nothing.
    select coalesce(sum(amount_cents), 0)::bigint
      from jsonb_to_recordset(p_disputes) as dispute (amount_cents bigint, status text, is_withdrawn boolean)
     where is_withdrawn and status not like 'warning%'
$$;

create function gateway.dispute_status(p_disputes jsonb) returns text
language sql immutable
as $$
    select (array_agg(said order by array_position('{open,lost,won,inquiry}'::text[], said)))[1]
      from (select case when status in ('needs_response', 'under_review') then 'open' when status in ('lost', 'won') then status
                        when status like 'warning%' then 'inquiry' end as said
              from jsonb_to_recordset(p_disputes) as dispute (status text)) as each
     where said is not null
$$;
comment on function gateway.dispute_status is 'Of several disputes the one that weighs most.';

create function gateway.payer_of(p_told gateway.payment_told) returns bigint
language sql stable
as $$
    -- A session names its checkout, which we have written; its customer must be the one that we gave it.
    select coalesce(
        (select account_id from gateway.payments where id = p_told.id),
        case p_told.kind
            when 'credits' then (select account.id
                                   from gateway.checkouts as checkout join gateway.accounts as account on account.id = checkout.account_id
                                  where checkout.id = p_told.checkout_id and checkout.kind = 'credits'
                                    and p_told.customer_id is not distinct from account.stripe_customer_id)
            when 'plan' then (select id from gateway.accounts where stripe_customer_id = p_told.customer_id) end)
$$;

create function gateway.keep_payment(p_account_id bigint, p_told gateway.payment_told, p_now timestamptz) returns gateway.payments
language plpgsql
as $$
declare
    v_payment gateway.payments;
    v_status  text := case p_told.status when 'succeeded' then 'succeeded' when 'processing' then 'processing' else 'failed' end;
begin
    -- One that nobody ever paid is no payment yet.
    if v_status = 'failed' and not exists (select from gateway.payments where id = p_told.id) then
        return null;
    end if;
    insert into gateway.payments as payment (id, account_id, kind, checkout_id, subscription_id, invoice_id, status, currency, created_at)
    values (p_told.id, p_account_id, p_told.kind, case p_told.kind when 'credits' then p_told.checkout_id end,
            case p_told.kind when 'plan' then p_told.subscription_id end, case p_told.kind when 'plan' then p_told.invoice_id end,
            v_status, p_told.currency, p_now)
    on conflict (id) do nothing;
    update gateway.payments as payment
       set status = case when granted_at is null then v_status else payment.status end,
           -- What was granted was granted for these amounts.
           received_cents = case when granted_at is null then p_told.received_cents else received_cents end,
           tax_cents = case when granted_at is null then p_told.tax_cents else tax_cents end,
           subscription_id = case p_told.kind when 'plan' then coalesce(p_told.subscription_id, subscription_id) end,
           invoice_id = case p_told.kind when 'plan' then coalesce(p_told.invoice_id, invoice_id) end,
           currency = case when granted_at is null then p_told.currency else payment.currency end,
           refunded_cents = gateway.refunded_cents(p_told.refunds), disputed_cents = gateway.disputed_cents(p_told.disputes),
           dispute_status = gateway.dispute_status(p_told.disputes),
           card_fingerprint_hmac = coalesce(decode(p_told.card_fingerprint_hmacs[1], 'hex'), card_fingerprint_hmac),
           receipt_url = case when exists (select from gateway.accounts where id = p_account_id and status <> 'deleted')
                              then coalesce(p_told.receipt_url, receipt_url) end,
           paid_at = coalesce(to_timestamp(p_told.paid_at), paid_at)
     where id = p_told.id and account_id = p_account_id
    returning * into v_payment;
    if not found then
        raise exception 'payment % is another account''s', p_told.id using errcode = 'invalid_parameter_value';
    end if;
    return v_payment;
end $$;

create function gateway.payment_fault(p_payment gateway.payments, p_told gateway.payment_told) returns text
language sql stable
as $$
    select case
        when p_payment.currency <> 'usd' then 'paid in ' || p_payment.currency
        when (p_payment.received_cents, p_payment.tax_cents) <> (p_told.received_cents, p_told.tax_cents) then 'the amount has changed since it was granted'
        when p_payment.kind = 'credits' and p_payment.granted_at is null
             and p_told.bought_cents is distinct from (select amount_cents from gateway.checkouts where id = p_payment.checkout_id)
            then 'what was bought is not what was asked for'
        when p_payment.received_cents <= p_payment.tax_cents then 'nothing was paid' end
$$;
comment on function gateway.payment_fault is 'Why somebody has to look at a payment; null is: nothing is wrong with it.';

create function gateway.grant_credits(p_payment gateway.payments, p_now timestamptz) returns gateway.payments
language plpgsql
as $$
declare
    v_payment gateway.payments;
    v_key     text := 'payment:' || p_payment.id;
begin
    update gateway.payments as payment
       set granted_at = p_now, money_nanos = gateway.cents_in_nanos(payment.received_cents - payment.tax_cents), bonus_nanos = checkout.bonus_nanos
      from gateway.checkouts as checkout
     where payment.id = p_payment.id and payment.granted_at is null and checkout.id = payment.checkout_id
    returning payment.* into strict v_payment;
    perform gateway.give_lot(v_payment.account_id, 'purchase', v_payment.id, v_payment.money_nanos, 'stripe', 'purchase', v_key, p_now);
    if v_payment.bonus_nanos > 0 then
        perform gateway.give_lot(v_payment.account_id, 'promo', v_payment.id, v_payment.bonus_nanos, 'promotions', 'promo', v_key || ':bonus', p_now);
    end if;
    perform gateway.bring_to_time(v_payment.account_id, p_now);
    update gateway.accounts set base_plan_id = 'pay_as_you_go' where id = v_payment.account_id and base_plan_id = 'free';
    perform gateway.settle_plan(v_payment.account_id, p_now);
    perform gateway.tell_of_payment(v_payment, p_now);
    return v_payment;
end $$;
comment on function gateway.grant_credits is 'Gives what was bought, once: the money without its tax, and the bonus that was promised with it.';

create function gateway.lay_payment_aside(p_told gateway.payment_told, p_reason text) returns void
language sql
as $$
    select api.add_dead_letter('payment', p_told.id, jsonb_build_object(
               'customer_id', p_told.customer_id, 'checkout_id', p_told.checkout_id, 'received_cents', p_told.received_cents,
               'currency', p_told.currency), p_reason, 1)
     where not exists (select from gateway.dead_letters where kind = 'payment' and subject = p_told.id and reason = p_reason)
$$;

create function gateway.flag_shared_card(p_payment gateway.payments, p_card_hmacs text[]) returns void
language plpgsql
as $$
begin
    update gateway.accounts set flags = flags || '{shared_card}'
     where id = p_payment.account_id and not 'shared_card' = any (flags)
       and exists (select from gateway.payments as other
                     join gateway.lots as trial on trial.account_id = other.account_id and trial.kind = 'trial'
                    where other.card_fingerprint_hmac = any (array(select decode(hmac, 'hex') from unnest(p_card_hmacs) as hmac)) and other.account_id <> p_payment.account_id);
    if found then
        perform gateway.write_audit(p_payment.account_id, 'stripe', null, 'account_flagged', p_payment.id, '{"flag": "shared_card"}', null);
    end if;
end $$;
comment on function gateway.flag_shared_card is 'Marks who pays by a card that another account, which had a trial, has paid by; under whichever secret of ours its payment stands. Families do that too: nothing is refused for it.';

create function gateway.note_disputes(p_account_id bigint) returns void
language sql
as $$
    -- open comes after lost, in the alphabet too.
    update gateway.accounts as account set dispute_status = worst.status
      from (select max(dispute_status) as status from gateway.payments
             where account_id = p_account_id and dispute_status in ('open', 'lost')) as worst
     where account.id = p_account_id and account.dispute_status is distinct from worst.status
$$;

create function gateway.tell_of_changes(p_before gateway.payments, p_after gateway.payments, p_now timestamptz) returns boolean
language plpgsql
as $$
declare
    v_taken bigint := p_after.refund_money_nanos + p_after.refund_credit_nanos - coalesce(p_before.refund_money_nanos + p_before.refund_credit_nanos, 0);
    v_told  boolean := p_before.granted_at is null and p_after.granted_at is not null;
begin
    if p_after.granted_at is not null and p_after.refunded_cents > coalesce(p_before.refunded_cents, 0) then
        perform gateway.write_audit(p_after.account_id, 'stripe', null, 'payment_refunded', p_after.id,
                                    jsonb_build_object('refunded_cents', p_after.refunded_cents, 'taken_nanos', v_taken), null);
        perform gateway.put_mail(p_after.account_id, 'payment_refunded', jsonb_build_object(
                                     'payment_id', p_after.id, 'refunded_cents', p_after.refunded_cents, 'taken_nanos', greatest(v_taken, 0)),
                                 p_after.id || ':' || p_after.refunded_cents, p_now);
        v_told := true;
    elsif p_after.refunded_cents < p_before.refunded_cents then
        perform gateway.write_audit(p_after.account_id, 'stripe', null, 'refund_failed', p_after.id,
                                    jsonb_build_object('refunded_cents', p_after.refunded_cents, 'taken_nanos', v_taken), null);
    end if;
    if p_after.dispute_status is distinct from p_before.dispute_status and p_after.dispute_status is not null then
        perform gateway.write_audit(p_after.account_id, 'stripe', null, case p_after.dispute_status when 'open' then 'payment_disputed' when 'inquiry' then 'payment_inquired'
                                        else 'dispute_' || p_after.dispute_status end,
                                    p_after.id, jsonb_build_object('disputed_cents', p_after.disputed_cents), null);
        if p_after.dispute_status = 'open' then
            perform gateway.put_mail(p_after.account_id, 'security_notice', jsonb_build_object(
                                         'event', 'payment_disputed', 'at', p_now, 'payment_id', p_after.id, 'disputed_cents', p_after.disputed_cents),
                                     'payment_disputed:' || p_after.id, p_now);
            v_told := true;
        end if;
    end if;
    return v_told;
end $$;
comment on function gateway.tell_of_changes is 'Writes what became of a payment into the log and to its account''s owner; whether an e-mail may have been written.';

create function api.post_payment(p_claim bigint, p_payment jsonb) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v_told       gateway.payment_told := gateway.read_payment_told(p_payment);
    v_account_id bigint := gateway.payer_of(v_told);
    v_before     gateway.payments;
    v_payment    gateway.payments;
    v_fault      text;
    v_now        timestamptz;
    v_answer     jsonb;
begin
    if v_account_id is null then
        if v_told.status = 'succeeded' then
            perform gateway.lay_payment_aside(v_told, 'of nobody that we know');
        end if;
        return jsonb_build_object('verdict', 'unowned');
    end if;
    perform from gateway.accounts where id = v_account_id for no key update;
    v_now := gateway.lock_wallet(v_account_id);
    if not gateway.accept_claim(v_told.id, p_claim) then
        return jsonb_build_object('verdict', 'superseded');
    end if;
    perform gateway.bring_to_time(v_account_id, v_now);
    select * into v_before from gateway.payments where id = v_told.id;
    v_told.kind := coalesce(v_before.kind, v_told.kind);
    v_payment := gateway.keep_payment(v_account_id, v_told, v_now);
    v_answer := jsonb_build_object('verdict', 'posted', 'account_id', v_account_id);
    if v_payment.id is null then
        return v_answer || jsonb_build_object('mails', false, 'fingerprints', '[]'::jsonb);
    end if;
    perform gateway.note_disputes(v_account_id);
    if v_payment.status = 'succeeded' and v_payment.granted_at is null
       and exists (select from gateway.accounts where id = v_account_id and status = 'deleted') then
        -- Nobody is left who could use it. What a bank has taken back need not be paid back once more.
        return case when v_payment.refunded_cents + v_payment.disputed_cents >= v_payment.received_cents then v_answer || jsonb_build_object('mails', false, 'fingerprints', '[]'::jsonb)
                    else jsonb_build_object('verdict', 'refund_due', 'account_id', v_account_id, 'payment_id', v_payment.id) end;
    end if;
    if v_payment.status = 'succeeded' then
        v_fault := gateway.payment_fault(v_payment, v_told);
        if v_fault is not null then
            perform gateway.lay_payment_aside(v_told, v_fault);
        elsif v_payment.granted_at is null then
            if v_payment.kind = 'credits' then
                perform gateway.grant_credits(v_payment, v_now);
            else
                perform gateway.grant_plan_payment(v_payment.id, v_now);
            end if;
            update gateway.dead_letters set resolved_at = v_now where kind = 'payment' and subject = v_payment.id and resolved_at is null;
        end if;
    end if;
    v_payment := gateway.settle_payment(v_payment.id, v_now);
    perform gateway.flag_shared_card(v_payment, v_told.card_fingerprint_hmacs);
    if v_payment.granted_at is not null then
        -- Referrals come in a later file.
        perform gateway.note_purchase(v_payment, v_now);
    end if;
    return v_answer || gateway.posted_plan(v_account_id, v_now)
        || jsonb_build_object('mails', gateway.tell_of_changes(v_before, v_payment, v_now));
end $$;
comment on function api.post_payment is
    'Takes over what Stripe says of a payment now: gives what was bought, once, and takes or gives back what refunds and disputes come to. Again, late or in another order comes to the same; what was read before something that is posted is answered superseded. refund_due: its account is deleted, and it has to be paid back.';

create function api.due_refunds(p_limit int default 100) returns jsonb
language sql stable security definer set search_path = ''
as $$
    -- The least tried first: each attempt claims a number, so those that always fail hold up no other.
    select coalesce(jsonb_agg(due.id order by due.claimed, due.id), '[]')
      from (select payment.id, coalesce(sync.claimed, 0) as claimed
              from gateway.payments as payment join gateway.accounts as account on account.id = payment.account_id
              left join gateway.syncs as sync on sync.object_id = payment.id
             where payment.granted_at is null and payment.status = 'succeeded' and account.status = 'deleted'
               and payment.refunded_cents + payment.disputed_cents < payment.received_cents
             order by 2, 1 limit p_limit) as due
$$;
comment on function api.due_refunds is 'The payments that came for accounts that were deleted, and are not paid back yet.';
