-- What the daily comparison with Stripe asks of the books: which of its payments and subscriptions they do not agree with.

create type gateway.payment_listed as (id text, status text, received_cents bigint, refunded_cents bigint, is_disputed boolean);
comment on type gateway.payment_listed is 'A payment as a list of Stripe''s shows it; what the list does not show is null.';

create function api.differing_payments(p_payments jsonb) returns jsonb
language sql stable security definer set search_path = ''
as $$
    select coalesce(jsonb_agg(listed.id order by listed.id), '[]')
      from jsonb_populate_recordset(null::gateway.payment_listed, p_payments) as listed
      left join gateway.payments as payment on payment.id = listed.id
     where (listed.status = 'succeeded' and payment.granted_at is null
            -- Of a deleted account: nothing was given for it, and all of it went back.
            and coalesce(payment.refunded_cents < payment.received_cents, true))
        or (listed.status = 'succeeded') <> (payment.status = 'succeeded')
        or listed.received_cents <> payment.received_cents
        or listed.refunded_cents <> coalesce(payment.refunded_cents, 0)
        or listed.is_disputed and coalesce(payment.dispute_status, 'open') in ('open', 'inquiry')
        -- One that its subscription alone has told of: neither card nor receipt of it is known.
        or (payment.granted_at is not null and not exists (select from gateway.syncs where object_id = listed.id and posted > 0))
$$;
comment on function api.differing_payments is
    'Of these payments at Stripe those that the books tell otherwise, or do not know although they succeeded. A dispute that is open is always among them.';

create function api.payments_since(p_since bigint, p_after text default '', p_limit int default 1000) returns jsonb
language sql stable security definer set search_path = ''
as $$
    select coalesce(jsonb_agg(page.id order by page.id), '[]')
      from (select id from gateway.payments where created_at >= to_timestamp(p_since) and id > p_after order by id limit p_limit) as page
$$;
comment on function api.payments_since is 'The payments that the books have got to know since a time (seconds since 1970), a page of their ids.';

create index payments_undecided on gateway.payments (id) where status = 'processing' or dispute_status in ('open', 'inquiry');

create function api.undecided_payments(p_after text default '', p_limit int default 1000) returns jsonb
language sql stable security definer set search_path = ''
as $$
    select coalesce(jsonb_agg(page.id order by page.id), '[]')
      from (select id from gateway.payments
             where (status = 'processing' or dispute_status in ('open', 'inquiry')) and id > p_after order by id limit p_limit) as page
$$;
comment on function api.undecided_payments is
    'The payments that the books hold to be under way, or in a dispute that is undecided, a page of their ids: however old they are, that ends some day.';

create type gateway.subscription_listed as (
    id text, status text, price_id text, period_ends_at bigint, cancels_at bigint, paid_invoice_id text
);
comment on type gateway.subscription_listed is
    'A subscription as a list of Stripe''s shows it. paid_invoice_id: its newest invoice, null where that is not paid.';

create function api.differing_subscriptions(p_subscriptions jsonb) returns jsonb
language sql stable security definer set search_path = ''
as $$
    select coalesce(jsonb_agg(listed.id order by listed.id), '[]')
      from jsonb_populate_recordset(null::gateway.subscription_listed, p_subscriptions) as listed
      left join gateway.subscriptions as subscription on subscription.id = listed.id
     where (subscription.status, subscription.stripe_price_id, subscription.period_ends_at, subscription.cancels_at)
           is distinct from (listed.status, listed.price_id, to_timestamp(listed.period_ends_at), to_timestamp(listed.cancels_at))
        -- One that credit with Stripe has paid has no payment that could differ.
        or listed.paid_invoice_id <> all (subscription.paid_invoice_ids)
$$;
comment on function api.differing_subscriptions is 'Of these subscriptions at Stripe those that the books tell otherwise, or do not know.';

create function api.live_subscriptions(p_after text default '', p_limit int default 1000) returns jsonb
language sql stable security definer set search_path = ''
as $$
    select coalesce(jsonb_agg(page.id order by page.id), '[]')
      from (select subscription.id from gateway.subscriptions as subscription
             where gateway.is_live(subscription) and subscription.id > p_after order by subscription.id limit p_limit) as page
$$;
comment on function api.live_subscriptions is 'The subscriptions that the books hold to go on, a page of their ids.';
