-- Subscriptions as Stripe tells of them, and the plan that they entitle their account to.

create table gateway.subscriptions (
    id                 text primary key check (id ~ '^[!-~]{1,255}$'),
    account_id         bigint not null references gateway.accounts,
    item_id            text not null,
    stripe_price_id    text not null references gateway.plan_prices,
    plan_id            text not null references gateway.plans,
    interval           text not null check (interval in ('month', 'year')),
    status             text not null check (status in ('incomplete', 'incomplete_expired', 'trialing', 'active', 'past_due', 'canceled',
                                                       'unpaid', 'paused')),
    period_starts_at   timestamptz not null,
    period_ends_at     timestamptz not null check (period_ends_at > period_starts_at),
    anchor             timestamptz not null,
    cancels_at         timestamptz,
    scheduled_price_id text references gateway.plan_prices,
    scheduled_at       timestamptz,
    past_due_since     timestamptz,
    grace_ended_at     timestamptz,
    ended_at           timestamptz,
    paid_invoice_ids   text[] not null default '{}',
    created_at         timestamptz not null default now(),
    check ((scheduled_price_id is null) = (scheduled_at is null)),
    check ((status = 'past_due') = (past_due_since is not null)),
    check (grace_ended_at is null or past_due_since is not null)
);
comment on table gateway.subscriptions is
    'The last that was read of each subscription at Stripe, which is the truth. plan_id and interval are those of its price as it was sold.';
comment on column gateway.subscriptions.anchor is 'What its months are counted from (billing_cycle_anchor).';
comment on column gateway.subscriptions.past_due_since is 'The date of the invoice that could not be collected; the grace runs from here.';
comment on column gateway.subscriptions.grace_ended_at is 'When the end of the grace was seen to.';
comment on column gateway.subscriptions.paid_invoice_ids is 'The invoices that were paid when it was last read.';
create index subscriptions_by_account on gateway.subscriptions (account_id);
create index subscriptions_past_due on gateway.subscriptions (past_due_since) where status = 'past_due' and grace_ended_at is null;
create index subscriptions_by_end_of_grace on gateway.subscriptions (grace_ended_at) where grace_ended_at is not null;
alter table gateway.subscriptions enable row level security;

create function gateway.grace() returns interval
language sql immutable
as $$ select interval '168 hours' $$;
comment on function gateway.grace is 'How long a plan goes on after a payment for it has failed: seven days, in hours so that no time zone makes them longer.';

create function gateway.is_live(p_subscription gateway.subscriptions) returns boolean
language sql immutable
as $$ select p_subscription.status in ('active', 'trialing', 'past_due', 'unpaid', 'paused') $$;
comment on function gateway.is_live is 'Does it go on at Stripe, whether or not it is paid for just now?';

create function gateway.is_entitling(p_subscription gateway.subscriptions, p_now timestamptz) returns boolean
language sql immutable
as $$
    select p_subscription.status in ('active', 'trialing')
        or (p_subscription.status = 'past_due' and p_now < p_subscription.past_due_since + gateway.grace())
$$;

create function gateway.entitled_plan_ids(p_account_id bigint, p_now timestamptz) returns text[]
language sql stable
as $$
    select coalesce(array_agg(subscription.plan_id), '{}') from gateway.subscriptions as subscription
     where subscription.account_id = p_account_id and gateway.is_entitling(subscription, p_now)
$$;

create function gateway.current_subscription(p_account_id bigint, p_now timestamptz) returns gateway.subscriptions
language sql stable
as $$
    select subscription
      from gateway.subscriptions as subscription join gateway.plans as plan on plan.id = subscription.plan_id
     where subscription.account_id = p_account_id and gateway.is_live(subscription)
     order by gateway.is_entitling(subscription, p_now) desc, plan.rank desc, subscription.period_ends_at desc, subscription.id limit 1
$$;
comment on function gateway.current_subscription is
    'The one that is meant by whoever has several: of those that go on the one that entitles to most. Null where none goes on.';

create function gateway.told_subscription(p_subscription gateway.subscriptions) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
               'id', p_subscription.id, 'item_id', p_subscription.item_id, 'status', p_subscription.status,
               'stripe_price_id', p_subscription.stripe_price_id, 'plan_id', p_subscription.plan_id, 'interval', p_subscription.interval,
               'period_starts_at', p_subscription.period_starts_at, 'period_ends_at', p_subscription.period_ends_at,
               'cancels_at', p_subscription.cancels_at,
               'scheduled', (select jsonb_build_object('plan_id', price.plan_id, 'interval', price.interval, 'at', p_subscription.scheduled_at)
                               from gateway.plan_prices as price where price.stripe_price_id = p_subscription.scheduled_price_id),
               'grace_ends_at', p_subscription.past_due_since + gateway.grace())
     where p_subscription.id is not null
$$;
comment on function gateway.told_subscription is 'A subscription as our servers are told of it; null for none.';

create type gateway.stripe_invoice as (
    id text, status text, created bigint, paid_at bigint, payment_id text, amount_paid_cents bigint, amount_due_cents bigint,
    tax_cents bigint, url text, lines jsonb
);
create type gateway.stripe_subscription as (
    id text, customer_id text, status text, item_id text, price_id text, period_starts_at bigint, period_ends_at bigint,
    anchor bigint, cancels_at bigint, ended_at bigint, scheduled jsonb, invoices gateway.stripe_invoice[]
);
comment on type gateway.stripe_subscription is 'What Stripe says of a subscription and its invoices at one moment, in its units: cents and seconds since 1970.';

create function gateway.read_subscription(p_subscription jsonb) returns gateway.stripe_subscription
language plpgsql stable
as $$
declare
    v_told gateway.stripe_subscription := jsonb_populate_record(null::gateway.stripe_subscription, p_subscription);
begin
    if v_told.id is null or v_told.customer_id is null or v_told.status is null or v_told.item_id is null or v_told.price_id is null
       or v_told.period_starts_at is null or v_told.period_ends_at is null or v_told.anchor is null or v_told.invoices is null then
        raise exception 'a subscription has its id, customer, status, item, price, period, anchor and invoices' using errcode = 'invalid_parameter_value';
    end if;
    return v_told;
end $$;

create function gateway.past_due_since(p_told gateway.stripe_subscription, p_before timestamptz, p_now timestamptz) returns timestamptz
language sql stable
as $$
    -- By Stripe's own dates, so that a webhook that comes late or again does not make the grace longer: the first invoice
    -- that is open after the last one that was paid.
    select case when p_told.status = 'past_due' then least(p_now, coalesce(
        (select to_timestamp(min(invoice.created)) from unnest(p_told.invoices) as invoice
          where invoice.status = 'open'
            and invoice.created > coalesce((select max(paid.created) from unnest(p_told.invoices) as paid where paid.status = 'paid'), 0)),
        p_before, p_now)) end
$$;

create function gateway.keep_subscription(
    p_account_id bigint, p_told gateway.stripe_subscription, p_before gateway.subscriptions, p_now timestamptz
) returns gateway.subscriptions
language plpgsql
as $$
declare
    v          gateway.subscriptions;
    v_price    gateway.plan_prices;
    v_schedule text;
begin
    -- One whose price was changed to one that we do not know goes on as what it was, and ends when it ends.
    select * into v_price from gateway.plan_prices where stripe_price_id = p_told.price_id;
    if not found then
        select * into strict v_price from gateway.plan_prices where stripe_price_id = p_before.stripe_price_id;
    end if;
    select stripe_price_id into v_schedule from gateway.plan_prices
     where stripe_price_id = p_told.scheduled ->> 'price_id' and stripe_price_id <> v_price.stripe_price_id;
    v.past_due_since := gateway.past_due_since(p_told, p_before.past_due_since, p_now);
    v.ended_at := case when p_told.status in ('canceled', 'incomplete_expired')
                       then coalesce(to_timestamp(p_told.ended_at), p_before.ended_at, p_now) end;
    insert into gateway.subscriptions as kept (
        id, account_id, item_id, stripe_price_id, plan_id, interval, status, period_starts_at, period_ends_at, anchor, cancels_at,
        scheduled_price_id, scheduled_at, past_due_since, grace_ended_at, ended_at, paid_invoice_ids, created_at)
    values (p_told.id, p_account_id, p_told.item_id, v_price.stripe_price_id, v_price.plan_id, v_price.interval, p_told.status,
            to_timestamp(p_told.period_starts_at), to_timestamp(p_told.period_ends_at), to_timestamp(p_told.anchor),
            to_timestamp(p_told.cancels_at), v_schedule,
            case when v_schedule is not null then to_timestamp((p_told.scheduled ->> 'at')::bigint) end,
            v.past_due_since, case when v.past_due_since = p_before.past_due_since then p_before.grace_ended_at end, v.ended_at,
            array(select id from unnest(p_told.invoices) where status = 'paid'), p_now)
    on conflict (id) do update
       set item_id = excluded.item_id, stripe_price_id = excluded.stripe_price_id, plan_id = excluded.plan_id, interval = excluded.interval,
           status = excluded.status, period_starts_at = excluded.period_starts_at, period_ends_at = excluded.period_ends_at,
           anchor = excluded.anchor, cancels_at = excluded.cancels_at, scheduled_price_id = excluded.scheduled_price_id,
           scheduled_at = excluded.scheduled_at, past_due_since = excluded.past_due_since, grace_ended_at = excluded.grace_ended_at,
           ended_at = excluded.ended_at, paid_invoice_ids = excluded.paid_invoice_ids
    returning * into v;
    return v;
end $$;

create function gateway.tell_of_plan(p_account_id bigint, p_plan_id text, p_at timestamptz, p_subject text, p_now timestamptz) returns void
language sql
as $$
    select gateway.put_mail(p_account_id, 'plan_changed', jsonb_build_object('plan_name', plan.name, 'effective_at', p_at),
                            concat_ws(':', p_subject, plan.id, extract(epoch from p_at), extract(epoch from p_now)), p_now)
      from gateway.plans as plan where plan.id = p_plan_id
$$;
comment on function gateway.tell_of_plan is 'Writes to the owner that he is on another plan, or will be at a time.';

create function gateway.change_plan(p_account_id bigint, p_subject text, p_now timestamptz) returns boolean
language plpgsql
as $$
declare
    v_before text;
    v_after  text;
begin
    select plan_id into strict v_before from gateway.accounts where id = p_account_id;
    if not gateway.settle_plan(p_account_id, p_now) then
        return false;
    end if;
    select plan_id into strict v_after from gateway.accounts where id = p_account_id;
    perform gateway.write_audit(p_account_id, 'stripe', null, 'plan_changed', p_subject, jsonb_build_object('from', v_before, 'to', v_after), null);
    perform gateway.tell_of_plan(p_account_id, v_after, null, p_subject, p_now);
    return true;
end $$;
comment on function gateway.change_plan is 'Settles the plan of a locked account; where it becomes another, the log says so and its owner is told. subject: the subscription that did it.';

create function gateway.tell_of_subscription(
    p_before gateway.subscriptions, p_after gateway.subscriptions, p_told gateway.stripe_subscription, p_now timestamptz
) returns void
language plpgsql
as $$
declare
    v_next    text;
    v_invoice gateway.stripe_invoice;
begin
    if gateway.is_live(p_after)
       and (p_after.scheduled_price_id, p_after.scheduled_at, p_after.cancels_at)
           is distinct from (p_before.scheduled_price_id, p_before.scheduled_at, p_before.cancels_at) then
        -- What comes at the period's end: another plan, or none.
        v_next := coalesce((select plan_id from gateway.plan_prices where stripe_price_id = p_after.scheduled_price_id),
                           case when p_after.cancels_at is not null then (select base_plan_id from gateway.accounts where id = p_after.account_id) end);
        if v_next <> p_after.plan_id then
            perform gateway.tell_of_plan(p_after.account_id, v_next, coalesce(p_after.scheduled_at, p_after.cancels_at), p_after.id, p_now);
        end if;
    end if;
    if p_after.status = 'past_due' then
        select * into v_invoice from unnest(p_told.invoices) as invoice where invoice.status = 'open' order by invoice.created desc limit 1;
        if found then
            perform gateway.put_mail(
                p_after.account_id, 'payment_failed',
                jsonb_build_object('plan_name', (select name from gateway.plans where id = p_after.plan_id),
                                   'amount_cents', v_invoice.amount_due_cents, 'invoice_url', v_invoice.url,
                                   'grace_ends_at', p_after.past_due_since + gateway.grace()),
                v_invoice.id, p_now);
        end if;
    end if;
end $$;
comment on function gateway.tell_of_subscription is 'Writes to the owner what is going to change, and that a payment failed: once for each change and invoice.';

create function gateway.find_subscriber(p_told gateway.stripe_subscription) returns bigint
language sql stable
as $$
    select coalesce((select account_id from gateway.subscriptions where id = p_told.id),
                    (select id from gateway.accounts where stripe_customer_id = p_told.customer_id))
$$;

create function gateway.lay_subscription_aside(p_told gateway.stripe_subscription, p_reason text, p_line_id text default null) returns void
language sql
as $$
    -- Each line's fault is a letter of its own: they are mended one by one.
    select api.add_dead_letter('subscription', concat_ws(':', p_told.id, p_line_id), jsonb_build_object('customer_id', p_told.customer_id, 'price_id', p_told.price_id), p_reason, 1)
$$;

create function gateway.resolve_subscription(p_subscription_id text, p_now timestamptz) returns void
language sql
as $$
    update gateway.dead_letters set resolved_at = p_now
     where kind = 'subscription' and split_part(subject, ':', 1) = p_subscription_id and resolved_at is null
$$;
comment on function gateway.resolve_subscription is 'Resolves what was laid aside of a subscription, before it is looked at anew: what is still wrong stands open again.';

create function api.post_subscription(p_claim bigint, p_subscription jsonb) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v_told       gateway.stripe_subscription := gateway.read_subscription(p_subscription);
    v_account_id bigint := gateway.find_subscriber(v_told);
    v_account    gateway.accounts;
    v_before     gateway.subscriptions;
    v_after      gateway.subscriptions;
    v_now        timestamptz;
begin
    if v_account_id is null then
        perform gateway.lay_subscription_aside(v_told, 'unknown customer');
        return jsonb_build_object('verdict', 'unowned', 'customer_id', v_told.customer_id);
    end if;
    select * into strict v_account from gateway.accounts where id = v_account_id for no key update;
    v_now := gateway.lock_wallet(v_account_id);
    if not gateway.accept_claim(v_told.id, p_claim) then
        return jsonb_build_object('verdict', 'superseded');
    end if;
    perform gateway.bring_to_time(v_account_id, v_now);
    perform gateway.resolve_subscription(v_told.id, v_now);
    select * into v_before from gateway.subscriptions where id = v_told.id;
    if not exists (select from gateway.plan_prices where stripe_price_id = v_told.price_id) then
        perform gateway.lay_subscription_aside(v_told, 'unknown price');
        if v_before.id is null then
            return jsonb_build_object('verdict', 'unpriced', 'price_id', v_told.price_id);
        end if;
    end if;
    v_after := gateway.keep_subscription(v_account_id, v_told, v_before, v_now);
    if v_account.status = 'deleted' then
        -- Nobody is left to use it. What was paid after the end is given back, payment by payment.
        return jsonb_build_object('verdict', 'cancel_due', 'account_id', v_account_id, 'is_live', gateway.is_live(v_after),
                                  'payment_ids', gateway.ungiven_payments(v_told));
    end if;
    perform gateway.give_allowances(v_after, v_told, v_now);
    perform gateway.tell_of_subscription(v_before, v_after, v_told, v_now);
    perform gateway.change_plan(v_account_id, v_told.id, v_now);
    return gateway.posted_plan(v_account_id, v_now);
end $$;
comment on function api.post_subscription is
    'Takes over what Stripe says of a subscription now: its state, the plan it entitles to, and the allowances of its paid invoices. Again, late or in another order gives the same; what was read before something that was posted is answered superseded.';
