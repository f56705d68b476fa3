-- Payments: what was asked of Stripe, what Stripe says of it, and in which order we asked.

alter table gateway.accounts
    add column stripe_customer_id text unique check (stripe_customer_id ~ '^[!-~]{1,255}$'),
    add column dispute_status text check (dispute_status in ('open', 'lost')),
    add column flags text[] not null default '{}';
comment on column gateway.accounts.stripe_customer_id is 'Who pays at Stripe. It outlives a deleted account: money may still have to go back.';
comment on column gateway.accounts.dispute_status is
    'open: a bank takes a payment back and has not decided; lost: it has, against us. Written with each payment.';
comment on column gateway.accounts.flags is 'What somebody should look at, such as a card that another account has used. Refuses nothing.';

-- A payment for a plan goes from Stripe to the house''s revenue and touches no wallet.
alter table gateway.transfers
    drop constraint transfers_kind_check,
    add constraint transfers_kind_check check (kind in (
        'trial', 'purchase', 'plan', 'promo', 'referral', 'admin', 'refund', 'dispute', 'subscription',
        'usage', 'shortfall', 'provider_cost', 'cost_excess', 'breakage', 'owed', 'repayment'));
comment on column gateway.transfers.source is 'The payment that a line is posted for, whichever lot it moves. Null before there was this column.';
create index transfers_by_source on gateway.transfers (source) where source is not null;

create table gateway.checkouts (
    id                uuid primary key,
    account_id        bigint not null references gateway.accounts,
    kind              text not null check (kind in ('credits', 'plan')),
    amount_cents      bigint check (amount_cents > 0),
    bonus_nanos       bigint not null default 0 check (bonus_nanos >= 0),
    plan_id           text references gateway.plans,
    interval          text check (interval in ('month', 'year')),
    stripe_session_id text unique,
    url               text,
    expires_at        timestamptz,
    created_at        timestamptz not null default now(),
    check (kind <> 'credits' or (amount_cents is not null and plan_id is null and interval is null)),
    check (kind <> 'plan' or (amount_cents is null and plan_id is not null and interval is not null)),
    check ((stripe_session_id is null) = (expires_at is null) and (url is null or stripe_session_id is not null))
);
comment on table gateway.checkouts is
    'What somebody wants to buy, written down before Stripe is asked: its id is the session''s client_reference_id and the idempotency key. What is credited in the end stands here, and in nothing that Stripe was told.';
create index checkouts_by_account on gateway.checkouts (account_id, created_at);
alter table gateway.checkouts enable row level security;

create table gateway.payments (
    id                     text primary key check (id ~ '^[A-Za-z0-9_]{1,255}$'),
    account_id             bigint not null references gateway.accounts,
    kind                   text not null check (kind in ('credits', 'plan')),
    checkout_id            uuid references gateway.checkouts,
    subscription_id        text,
    invoice_id             text,
    status                 text not null check (status in ('processing', 'succeeded', 'failed')),
    currency               text not null default 'usd',
    received_cents         bigint not null default 0 check (received_cents between 0 and 100000000000),
    tax_cents              bigint not null default 0 check (tax_cents between 0 and received_cents),
    money_nanos            bigint not null default 0 check (money_nanos >= 0),
    credit_nanos           bigint not null default 0 check (credit_nanos >= 0),
    bonus_nanos            bigint not null default 0 check (bonus_nanos >= 0),
    refunded_cents         bigint not null default 0 check (refunded_cents >= 0),
    disputed_cents         bigint not null default 0 check (disputed_cents >= 0),
    dispute_status         text check (dispute_status in ('inquiry', 'open', 'won', 'lost')),
    refund_money_nanos     bigint not null default 0 check (refund_money_nanos >= 0),
    dispute_money_nanos    bigint not null default 0 check (dispute_money_nanos >= 0),
    refund_credit_nanos    bigint not null default 0 check (refund_credit_nanos >= 0),
    dispute_credit_nanos   bigint not null default 0 check (dispute_credit_nanos >= 0),
    credit_of_others_nanos bigint not null default 0 check (credit_of_others_nanos between 0 and refund_credit_nanos + dispute_credit_nanos),
    postings               int not null default 0,
    card_fingerprint_hmac  bytea check (length(card_fingerprint_hmac) = 32),
    receipt_url            text,
    paid_at                timestamptz,
    granted_at             timestamptz,
    created_at             timestamptz not null default now(),
    check (kind = 'credits' or (bonus_nanos = 0 and checkout_id is null)),
    check (kind = 'plan' or (credit_nanos = 0 and subscription_id is null and invoice_id is null)),
    check (granted_at is not null or (money_nanos = 0 and credit_nanos = 0 and bonus_nanos = 0)),
    check (refund_money_nanos + dispute_money_nanos <= money_nanos),
    check (refund_credit_nanos + dispute_credit_nanos <= credit_nanos + bonus_nanos)
);
comment on table gateway.payments is
    'A payment intent as Stripe last told it, and what of it stands in the ledger. Posting is a difference between the two: gateway.settle_payment.';
comment on column gateway.payments.money_nanos is 'What was paid without tax; 0 until it is granted. For credits it went to the wallet, for a plan to revenue.';
comment on column gateway.payments.credit_nanos is 'Of a plan: the allowances that this payment has given.';
comment on column gateway.payments.disputed_cents is 'What banks hold back or have taken for good.';
comment on column gateway.payments.refund_money_nanos is 'What is posted as refunded of money_nanos; dispute_money_nanos likewise.';
comment on column gateway.payments.refund_credit_nanos is
    'What is posted as taken back of bonus or allowances; dispute_credit_nanos likewise. credit_of_others_nanos of both was not in its own lots any more.';
comment on column gateway.payments.granted_at is 'Null: nothing was given for it, and nothing is taken back.';
create index payments_by_account on gateway.payments (account_id, created_at, id);
create index payments_not_granted on gateway.payments (account_id) where granted_at is null and status = 'succeeded';
create index payments_by_card on gateway.payments (card_fingerprint_hmac) where card_fingerprint_hmac is not null;
create index payments_disputed on gateway.payments (account_id) where dispute_status in ('open', 'lost');
create index payments_by_checkout on gateway.payments (checkout_id) where checkout_id is not null;
alter table gateway.payments enable row level security;

create function gateway.forget_payer() returns trigger
language plpgsql
as $$
begin
    update gateway.payments set receipt_url = null where account_id = new.id and receipt_url is not null;
    update gateway.checkouts set url = null where account_id = new.id and url is not null;
    return null;
end $$;
comment on function gateway.forget_payer is 'Takes from the payments of an account that is deleted where they can be read by name.';
create trigger forget_payer after update of status on gateway.accounts
    for each row when (new.status = 'deleted' and old.status <> 'deleted') execute function gateway.forget_payer();

create table gateway.syncs (
    object_id  text primary key,
    claimed    bigint not null check (claimed > 0),
    posted     bigint not null default 0 check (posted between 0 and claimed),
    created_at timestamptz not null default now()
);
comment on table gateway.syncs is
    'Who reads an object at Stripe claims a number first. Whoever claimed later began to read later, so what is read under an older number than the last one posted is news no more.';
alter table gateway.syncs enable row level security;

create function api.claim_sync(p_object_id text) returns bigint
language sql security definer set search_path = ''
as $$
    insert into gateway.syncs as sync (object_id, claimed, created_at) values (p_object_id, 1, gateway.clock())
    on conflict (object_id) do update set claimed = sync.claimed + 1
    returning claimed
$$;
comment on function api.claim_sync is 'A number for whoever is about to read an object at Stripe, to be given with what was read.';

create function gateway.accept_claim(p_object_id text, p_claim bigint) returns boolean
language plpgsql
as $$
begin
    update gateway.syncs set posted = p_claim where object_id = p_object_id and p_claim between greatest(posted, 1) and claimed;
    if found then
        return true;
    end if;
    if not exists (select from gateway.syncs where object_id = p_object_id and p_claim between 1 and claimed) then
        raise exception 'nobody has claimed % under %', p_object_id, p_claim using errcode = 'invalid_parameter_value';
    end if;
    return false;
end $$;
comment on function gateway.accept_claim is
    'Whether what was read under this claim may be posted; false: something that was read later is posted. Called under the account''s lock.';

create function api.keep_customer(p_account_id bigint, p_customer_id text, p_gone_id text default null) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v_kept text;
begin
    update gateway.accounts set stripe_customer_id = p_customer_id
     where id = p_account_id and (stripe_customer_id is null or stripe_customer_id = p_gone_id);
    select stripe_customer_id into strict v_kept from gateway.accounts where id = p_account_id;
    return jsonb_build_object('verdict', 'customer', 'customer_id', v_kept);
end $$;
comment on function api.keep_customer is 'Remembers who an account is at Stripe. The first one stays, and is what is answered; but in place of the one that is gone there, if any, another is kept.';

create function gateway.payment_view(p_payment gateway.payments) returns jsonb
language sql immutable
as $$
    select jsonb_build_object(
        'id', p_payment.id, 'kind', p_payment.kind,
        'status', case when p_payment.status <> 'succeeded' then p_payment.status
                       when p_payment.dispute_status in ('open', 'lost') then 'disputed'
                       when p_payment.refunded_cents >= p_payment.received_cents then 'refunded'
                       when p_payment.refunded_cents > 0 then 'partially_refunded'
                       else 'succeeded' end,
        'currency', p_payment.currency, 'received_cents', p_payment.received_cents, 'tax_cents', p_payment.tax_cents,
        'refunded_cents', p_payment.refunded_cents, 'disputed_cents', p_payment.disputed_cents, 'dispute_status', p_payment.dispute_status,
        'credit_nanos', case p_payment.kind when 'credits' then p_payment.money_nanos else p_payment.credit_nanos end,
        'bonus_nanos', p_payment.bonus_nanos, 'checkout_id', p_payment.checkout_id, 'subscription_id', p_payment.subscription_id,
        'invoice_id', p_payment.invoice_id, 'receipt_url', p_payment.receipt_url, 'paid_at', p_payment.paid_at, 'created_at', p_payment.created_at)
$$;

create function api.list_payments(p_caller jsonb, p_limit int, p_after text default null) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v       record;
    v_after gateway.payments;
begin
    select * into v from gateway.enter(p_caller);
    if v.refusal is not null then
        return v.refusal;
    end if;
    select * into v_after from gateway.payments where id = p_after and account_id = (v.key).account_id;
    return (
        with page as (
            select payment, row_number() over (order by payment.created_at desc, payment.id desc) as position
              from gateway.payments as payment
             where payment.account_id = (v.key).account_id
               and (p_after is null or (payment.created_at, payment.id) < (v_after.created_at, v_after.id))
             order by payment.created_at desc, payment.id desc limit p_limit + 1
        )
        select gateway.answer('payments', v.key, jsonb_build_object(
                   'payments', coalesce(jsonb_agg(gateway.payment_view(payment) order by position) filter (where position <= p_limit), '[]'),
                   'has_more', count(*) > p_limit))
          from page);
end $$;
comment on function api.list_payments is 'A page of the payments of the key''s account, newest first; p_after is the last one of the page before.';

create function api.read_payment(p_caller jsonb, p_id text) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v         record;
    v_payment gateway.payments;
begin
    select * into v from gateway.enter(p_caller);
    if v.refusal is not null then
        return v.refusal;
    end if;
    select * into v_payment from gateway.payments where id = p_id and account_id = (v.key).account_id;
    if not found then
        return gateway.refusal(404, 'payment_not_found') || gateway.policy_of(v.key);
    end if;
    return gateway.answer('payment', v.key, jsonb_build_object('payment', gateway.payment_view(v_payment)));
end $$;
comment on function api.read_payment is 'One payment of the key''s account. Another account''s answers like one that never was.';
