-- The credit that comes with a plan: for each month that is paid for one dated lot, for a year twelve at once.
--
-- A paid line of an invoice says: this plan, from here to there. At every instant the dearest plan that is paid for counts, once.
-- What all lines together give is the sum of that over time, rounded down; each line adds what it makes of a difference when it is posted.
-- So an upgrade gives the new plan's allowance less the old one's for the rest of the time, and no order of posting gives more or less.

create function gateway.add_months(p_anchor timestamptz, p_months int) returns timestamptz
language sql immutable
as $$
    -- In UTC, as Stripe counts: from the 31st to the last of a shorter month, and to a 31st again.
    select (p_anchor at time zone 'UTC' + make_interval(months => p_months)) at time zone 'UTC'
$$;

create function gateway.month_number(p_anchor timestamptz, p_at timestamptz) returns int
language plpgsql immutable
as $$
declare
    v_from   timestamp := p_anchor at time zone 'UTC';
    v_to     timestamp := p_at at time zone 'UTC';
    v_number int := 12 * (extract(year from v_to) - extract(year from v_from)) + extract(month from v_to) - extract(month from v_from);
begin
    return v_number - case when gateway.add_months(p_anchor, v_number) > p_at then 1 else 0 end;
end $$;
comment on function gateway.month_number is 'Which month, counted from the anchor, a time is in.';

create table gateway.allowances (
    invoice_line_id         text not null check (invoice_line_id ~ '^[!-~]{1,255}$'),
    month_number            int not null,
    subscription_id         text not null references gateway.subscriptions,
    invoice_id              text not null,
    plan_id                 text not null references gateway.plans,
    monthly_allowance_nanos bigint not null check (monthly_allowance_nanos >= 0),
    month_days              int not null check (month_days between 28 and 31),
    starts_at               timestamptz not null,
    ends_at                 timestamptz not null,
    share                   numeric not null check (share >= 0 and share = trunc(share)),
    amount_nanos            bigint not null check (amount_nanos >= 0),
    lot_id                  bigint unique references gateway.lots,
    created_at              timestamptz not null default now(),
    primary key (invoice_line_id, month_number),
    check (ends_at > starts_at)
);
comment on table gateway.allowances is
    'What each paid month of each invoice line gave, a month or the part of it that is paid for. Append-only.';
comment on column gateway.allowances.month_days is 'How long the whole month is. A day and month in UTC have no odd hours.';
comment on column gateway.allowances.share is 'What it adds to what was paid for before, in gateway.shares_per_nano() of a nano-dollar; a whole number, so that nothing is rounded but the sum.';
comment on column gateway.allowances.lot_id is 'Null where nothing was added, or its time was over before it was posted.';
create index allowances_by_subscription on gateway.allowances (subscription_id, ends_at);
create index allowances_by_invoice on gateway.allowances (invoice_id);
alter table gateway.allowances enable row level security;
create trigger allowances_append_only before update or delete or truncate on gateway.allowances
    for each statement execute function gateway.refuse_change();

create function gateway.density(p_monthly_nanos bigint, p_month_days int) returns numeric
language sql immutable
as $$ select p_monthly_nanos::numeric * (377580 / p_month_days) $$;
comment on function gateway.density is
    'What a month''s allowance gives in a second, in shares: 377,580 can be divided by 28, 29, 30 and 31, the days that a month may have.';

create function gateway.shares_per_nano() returns numeric
language sql immutable
as $$ select 377580::numeric * 86400 $$;

create function gateway.added_share(
    p_subscription_id text, p_density numeric, p_starts_at timestamptz, p_ends_at timestamptz
) returns numeric
language sql stable
as $$
    with paid as (
        select starts_at, ends_at, gateway.density(monthly_allowance_nanos, month_days) as density
          from gateway.allowances
         where subscription_id = p_subscription_id and ends_at > p_starts_at and starts_at < p_ends_at
    ),
    bound as (
        select p_starts_at as at union select p_ends_at
        union select starts_at from paid where starts_at > p_starts_at
        union select ends_at from paid where ends_at < p_ends_at
    ),
    piece as (select at as starts_at, lead(at) over (order by at) as ends_at from bound)
    select sum(extract(epoch from piece.ends_at - piece.starts_at) * greatest(0, p_density - coalesce(dearest.density, 0)))
      from piece, lateral (select max(density) as density from paid
                            where paid.starts_at <= piece.starts_at and paid.ends_at >= piece.ends_at) as dearest
     where piece.ends_at is not null
$$;
comment on function gateway.added_share is 'What so much a second adds, over this time, to the dearest that is paid for already.';

create type gateway.stripe_line as (
    id text, price_id text, starts_at bigint, ends_at bigint, amount_cents bigint
);

create function gateway.line_anchor(p_line gateway.stripe_line, p_told gateway.stripe_subscription) returns timestamptz
language sql stable
as $$
    -- The subscription's, where the line's months end with its. Where a change from months to years has begun them anew, a line
    -- of before has those that it was sold with: counted from the first line since which they would end where it ends.
    select coalesce(
        (select to_timestamp(known.at)
           from (select p_told.anchor
                 union select line.starts_at
                   from unnest(p_told.invoices) as invoice, jsonb_populate_recordset(null::gateway.stripe_line, invoice.lines) as line) as known (at)
          where gateway.add_months(to_timestamp(known.at), gateway.month_number(to_timestamp(known.at), to_timestamp(p_line.ends_at)))
                = to_timestamp(p_line.ends_at)
          order by known.at > p_line.starts_at, known.at = p_told.anchor desc, known.at limit 1),
        to_timestamp(p_line.ends_at))
$$;
comment on function gateway.line_anchor is 'What the months of a line are counted from.';

create function gateway.give_month(
    p_subscription gateway.subscriptions, p_month gateway.allowances, p_source text, p_now timestamptz
) returns void
language plpgsql
as $$
declare
    v_month  gateway.allowances := p_month;
    v_before numeric;
begin
    v_month.share := gateway.added_share(v_month.subscription_id, gateway.density(v_month.monthly_allowance_nanos, v_month.month_days),
                                         v_month.starts_at, v_month.ends_at);
    select coalesce(sum(share), 0) into v_before from gateway.allowances where subscription_id = v_month.subscription_id;
    v_month.amount_nanos := div(v_before + v_month.share, gateway.shares_per_nano()) - div(v_before, gateway.shares_per_nano());
    if v_month.amount_nanos > 0 and v_month.ends_at > p_now then
        insert into gateway.lots (account_id, kind, source, amount_nanos, remaining_nanos, live_from, expires_at, created_at)
        values (p_subscription.account_id, 'plan', p_source, v_month.amount_nanos, v_month.amount_nanos,
                v_month.starts_at, v_month.ends_at, p_now)
        returning id into v_month.lot_id;
        perform gateway.post(concat_ws(':', 'invoice', v_month.invoice_id, v_month.invoice_line_id, v_month.month_number), 1,
                             gateway.counterparty('plan'), p_subscription.account_id, v_month.amount_nanos, 'plan', v_month.lot_id, null, p_now);
        update gateway.wallets set posted_nanos = posted_nanos + v_month.amount_nanos where account_id = p_subscription.account_id;
    end if;
    insert into gateway.allowances (invoice_line_id, month_number, subscription_id, invoice_id, plan_id, monthly_allowance_nanos, month_days,
                                    starts_at, ends_at, share, amount_nanos, lot_id, created_at)
    values (v_month.invoice_line_id, v_month.month_number, v_month.subscription_id, v_month.invoice_id, v_month.plan_id,
            v_month.monthly_allowance_nanos, v_month.month_days, v_month.starts_at, v_month.ends_at, v_month.share, v_month.amount_nanos,
            v_month.lot_id, p_now);
end $$;
comment on function gateway.give_month is 'Gives what a month, or the part of one, adds to what was paid for before. What is over already is counted, and no lot is made of it.';

create function gateway.give_line(
    p_subscription gateway.subscriptions, p_told gateway.stripe_subscription, p_invoice gateway.stripe_invoice,
    p_line gateway.stripe_line, p_now timestamptz
) returns void
language plpgsql
as $$
declare
    v_price  gateway.plan_prices;
    v_month  gateway.allowances;
    v_anchor timestamptz := gateway.line_anchor(p_line, p_told);
    v_from   timestamptz := to_timestamp(p_line.starts_at);
    v_to     timestamptz := to_timestamp(p_line.ends_at);
    v_first  int := gateway.month_number(v_anchor, v_from);
begin
    select * into strict v_price from gateway.plan_prices where stripe_price_id = p_line.price_id;
    v_month.invoice_line_id := p_line.id;
    v_month.subscription_id := p_subscription.id;
    v_month.invoice_id := p_invoice.id;
    v_month.plan_id := v_price.plan_id;
    v_month.monthly_allowance_nanos := v_price.monthly_allowance_nanos;
    -- A year is twelve months, and a line that begins between two of them has one more.
    for v_number in v_first .. v_first + 13 loop
        v_month.month_number := v_number;
        v_month.starts_at := greatest(v_from, gateway.add_months(v_anchor, v_number));
        v_month.ends_at := least(v_to, gateway.add_months(v_anchor, v_number + 1));
        exit when v_month.starts_at >= v_to;
        v_month.month_days := extract(epoch from gateway.add_months(v_anchor, v_number + 1) - gateway.add_months(v_anchor, v_number)) / 86400;
        perform gateway.give_month(p_subscription, v_month, coalesce(p_invoice.payment_id, p_invoice.id), p_now);
    end loop;
end $$;

create function gateway.line_fault(p_line gateway.stripe_line) returns text
language sql stable
as $$
    select case
        when not exists (select from gateway.plan_prices where stripe_price_id = p_line.price_id) or p_line.price_id is null
            then 'unknown price of a line'
        when (p_line.ends_at > p_line.starts_at and p_line.ends_at <= p_line.starts_at + 367 * 86400) is not true then 'a line of no time, or of more than a year'
    end
$$;

create function gateway.give_allowances(
    p_subscription gateway.subscriptions, p_told gateway.stripe_subscription, p_now timestamptz
) returns void
language plpgsql
as $$
declare
    v_invoice gateway.stripe_invoice;
    v_line    gateway.stripe_line;
begin
    for v_invoice in select * from unnest(p_told.invoices) as invoice where invoice.status = 'paid' order by invoice.created, invoice.id loop
        for v_line in
            -- What is given back of a plan that was left has an amount below zero, and takes nothing: it is counted by the dearer one.
            select * from jsonb_populate_recordset(null::gateway.stripe_line, v_invoice.lines) as line
             where line.amount_cents > 0 and not exists (select from gateway.allowances where invoice_line_id = line.id)
             order by line.starts_at, line.id
        loop
            if gateway.line_fault(v_line) is not null then
                perform gateway.lay_subscription_aside(p_told, gateway.line_fault(v_line), v_line.id);
                continue;
            end if;
            perform gateway.give_line(p_subscription, p_told, v_invoice, v_line, p_now);
        end loop;
        perform gateway.book_invoice(p_subscription, v_invoice, p_now);
    end loop;
end $$;
comment on function gateway.give_allowances is 'Gives the allowances of a subscription''s paid invoices that were not given yet.';

create function gateway.book_invoice(p_subscription gateway.subscriptions, p_invoice gateway.stripe_invoice, p_now timestamptz) returns void
language plpgsql
as $$
declare
    v_given bigint := gateway.given_by(p_invoice.id);
begin
    -- One that was paid by what an earlier one had left over has no payment of its own.
    if p_invoice.payment_id is null
       or exists (select from gateway.payments where id = p_invoice.payment_id and granted_at is not null and credit_nanos = v_given) then
        return;
    end if;
    perform gateway.keep_plan_payment(
        p_subscription.account_id, p_invoice.payment_id, p_subscription.id, p_invoice.id, p_invoice.amount_paid_cents,
        coalesce(p_invoice.tax_cents, 0), v_given, to_timestamp(coalesce(p_invoice.paid_at, p_invoice.created)), p_now);
end $$;
comment on function gateway.book_invoice is 'Books what was paid for an invoice, with what it has given, where that is not booked yet.';

create function gateway.given_by(p_invoice_id text) returns bigint
language sql stable
as $$ select coalesce(sum(amount_nanos), 0)::bigint from gateway.allowances where invoice_id = p_invoice_id and lot_id is not null $$;
comment on function gateway.given_by is 'How much credit an invoice has given in lots.';

create function gateway.ungiven_payments(p_told gateway.stripe_subscription) returns text[]
language sql stable
as $$
    select coalesce(array_agg(distinct invoice.payment_id), '{}')
      from unnest(p_told.invoices) as invoice
     where invoice.status = 'paid' and invoice.payment_id is not null and invoice.amount_paid_cents > 0
       and not exists (select from gateway.allowances where invoice_id = invoice.id)
       and not exists (select from gateway.payments where id = invoice.payment_id and refunded_cents >= received_cents)
$$;
comment on function gateway.ungiven_payments is 'The payments of invoices that have given nothing, as far as they are not given back.';

create function gateway.broken_allowances(p_account_id bigint) returns table (rule text, subject text)
language sql stable
as $$
    with given as (
        select allowance.*, subscription.account_id
          from gateway.allowances as allowance join gateway.subscriptions as subscription on subscription.id = allowance.subscription_id
         where p_account_id is null or subscription.account_id = p_account_id
    )
    select 'an allowance = its lot', given.invoice_line_id || ':' || given.month_number
      from given join gateway.lots as lot on lot.id = given.lot_id
     where (lot.account_id, lot.kind, lot.amount_nanos, lot.live_from, lot.expires_at)
        <> (given.account_id, 'plan', given.amount_nanos, given.starts_at, given.ends_at)
    union all
    select 'the allowances of a subscription = what the times that are paid for come to', subscription_id
      from given group by subscription_id having sum(amount_nanos) <> div(sum(share), gateway.shares_per_nano())
    union all
    select 'what a plan''s payment gave = its lots', payment.id
      from gateway.payments as payment
     where payment.kind = 'plan' and (p_account_id is null or payment.account_id = p_account_id)
       and payment.credit_nanos <> (select coalesce(sum(amount_nanos), 0) from gateway.lots
                                     where account_id = payment.account_id and source = payment.id and kind = 'plan')
$$;

create or replace function gateway.broken_rules(p_account_id bigint default null) returns table (rule text, subject text)
language sql stable
as $$
    select rule, subject from gateway.broken_sums(p_account_id)
    union all
    select rule, subject from gateway.broken_requests(p_account_id)
    union all
    select rule, subject from gateway.broken_transactions(p_account_id)
    union all
    select rule, subject from gateway.broken_payments(p_account_id)
    union all
    select rule, subject from gateway.broken_allowances(p_account_id)
$$;
