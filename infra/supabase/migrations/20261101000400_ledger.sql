-- The books: wallets, the lots they hold, holds on those lots, transfers, and one usage line per settled request.
create table gateway.house_accounts (
    id         bigint primary key check (id < 1000),
    name       text not null unique,
    created_at timestamptz not null default now()
);
comment on table gateway.house_accounts is 'The other side of every transfer. Summed from transfers, never cached: a cached row would be a lock that all wallets share.';
insert into gateway.house_accounts (id, name) values
    (1, 'revenue'), (2, 'provider_cost'), (3, 'provider_payable'), (4, 'shortfall'), (5, 'promotions'),
    (6, 'stripe'), (7, 'breakage'), (8, 'adjustments'), (9, 'receivable');

create function gateway.house(p_name text) returns bigint
language sql immutable
as $$
    select case p_name
        when 'revenue' then 1 when 'provider_cost' then 2 when 'provider_payable' then 3 when 'shortfall' then 4
        when 'promotions' then 5 when 'stripe' then 6 when 'breakage' then 7 when 'adjustments' then 8 when 'receivable' then 9
    end::bigint
$$;

create table gateway.wallets (
    account_id   bigint primary key references gateway.accounts,
    posted_nanos bigint not null default 0 check (posted_nanos >= 0),
    owed_nanos   bigint not null default 0 check (owed_nanos >= 0),
    created_at   timestamptz not null default now()
) with (fillfactor = 70);
comment on table gateway.wallets is
    'posted = credits - debits in transfers = what is left in lots + what holds have taken. owed: taken back after it was spent.';

create table gateway.lots (
    id              bigint generated always as identity primary key,
    account_id      bigint not null references gateway.wallets,
    kind            text not null check (kind in ('trial', 'purchase', 'plan', 'promo', 'referral', 'admin')),
    source          text,
    amount_nanos    bigint not null check (amount_nanos > 0),
    remaining_nanos bigint not null check (remaining_nanos >= 0),
    spent_nanos     bigint not null default 0 check (spent_nanos >= 0),
    lapsed_nanos    bigint not null default 0 check (lapsed_nanos >= 0),
    taken_nanos     bigint not null default 0 check (taken_nanos >= 0),
    live_from       timestamptz,
    expires_at      timestamptz,
    is_closed       boolean not null generated always as
                    (remaining_nanos = 0 and spent_nanos + lapsed_nanos + taken_nanos = amount_nanos) stored,
    created_at      timestamptz not null default now(),
    check (remaining_nanos + spent_nanos + lapsed_nanos + taken_nanos <= amount_nanos)
) with (fillfactor = 70);
comment on table gateway.lots is
    'Credit with one origin and one life. What is neither remaining, spent, lapsed nor taken back is in hold_parts. source: the payment, code or period it came from.';
-- is_closed changes once in a lot's life, so all other updates stay heap-only.
create index lots_open on gateway.lots (account_id) where not is_closed;

create table gateway.holds (
    id           uuid primary key,
    account_id   bigint not null references gateway.wallets,
    key_id       bigint not null references gateway.api_keys,
    model_id     text not null,
    price_id     bigint not null,
    quantities   gateway.quantities not null,
    amount_nanos bigint not null check (amount_nanos >= 0),
    extensions   int not null default 0,
    state        text not null default 'held' check (state in ('held', 'settled', 'voided', 'expired', 'settled_late')),
    expires_at   timestamptz not null,
    ended_at     timestamptz,
    created_at   timestamptz not null default now(),
    check ((state = 'held') = (ended_at is null))
) with (fillfactor = 85);
-- No foreign key to the price, here and in usage lines: checking it would write a lock into the one row of a popular
-- model's price with every request, and prices are never deleted.
comment on table gateway.holds is
    'Money set aside for one request, its id the generation id: held, then settled, voided or expired; an expired one may still be settled late, once.';
create index holds_live_by_account on gateway.holds (account_id, expires_at) where state = 'held';
create index holds_live_by_expiry on gateway.holds (expires_at) where state = 'held';

create table gateway.hold_parts (
    hold_id      uuid not null references gateway.holds,
    position     smallint not null,
    lot_id       bigint not null references gateway.lots,
    amount_nanos bigint not null check (amount_nanos > 0),
    created_at   timestamptz not null default now(),
    primary key (hold_id, position)
);
comment on table gateway.hold_parts is 'What a live hold took from which lot. Gone when the hold ends.';

create table gateway.transfers (
    id              bigint generated always as identity primary key,
    idempotency_key text not null,
    line_number     smallint not null,
    debit_account   bigint not null,
    credit_account  bigint not null,
    amount_nanos    bigint not null check (amount_nanos > 0),
    kind            text not null check (kind in ('trial', 'purchase', 'plan', 'promo', 'referral', 'admin', 'refund', 'dispute',
                                                  'usage', 'shortfall', 'provider_cost', 'cost_excess', 'breakage', 'owed', 'repayment')),
    account_id      bigint,
    lot_id          bigint,
    generation_id   uuid,
    created_at      timestamptz not null default now(),
    unique (idempotency_key, line_number),
    check (debit_account <> credit_account),
    check ((debit_account >= 1000 or credit_account >= 1000) = (account_id is not null)),
    check (account_id is null or account_id in (debit_account, credit_account))
);
comment on table gateway.transfers is 'The ledger: append-only, balanced by shape. One cause is one idempotency key with one or more lines.';
create index transfers_by_account on gateway.transfers (account_id, id) where account_id is not null;
create index transfers_by_generation on gateway.transfers (generation_id) where generation_id is not null;

create table gateway.usage_lines (
    generation_id         uuid primary key references gateway.holds,
    account_id            bigint not null,
    key_id                bigint not null,
    model_id              text not null,
    provider              text,
    price_id              bigint not null,
    quantities            gateway.quantities not null,
    reasoning_tokens      int not null default 0 check (reasoning_tokens >= 0),
    usage_source          text not null check (usage_source in ('provider', 'lookup', 'counted', 'none')),
    list_cost_nanos       bigint not null check (list_cost_nanos >= 0),
    cost_nanos            bigint not null check (cost_nanos >= 0),
    charged_nanos         bigint not null check (charged_nanos >= 0),
    shortfall_nanos       bigint not null check (shortfall_nanos >= 0),
    provider_cost_nanos   bigint not null check (provider_cost_nanos >= 0),
    cost_excess_nanos     bigint not null check (cost_excess_nanos >= 0),
    waived_reason         text,
    outcome               text not null check (outcome in ('completed', 'interrupted', 'abandoned', 'failed')),
    is_stream             boolean not null,
    is_late               boolean not null,
    attempts              jsonb not null,
    first_byte_ms         int,
    duration_ms           int,
    created_at            timestamptz not null default now(),
    check (charged_nanos + shortfall_nanos = cost_nanos),
    check (cost_nanos > 0 or list_cost_nanos = 0 or waived_reason is not null)
);
comment on table gateway.usage_lines is 'What one request used, cost and was charged. outcome: completed; interrupted by the provider; abandoned by the client; failed before an answer.';
create index usage_lines_by_account on gateway.usage_lines (account_id, created_at);
create index usage_lines_by_time on gateway.usage_lines (created_at);

alter table gateway.house_accounts enable row level security;
alter table gateway.wallets enable row level security;
alter table gateway.lots enable row level security;
alter table gateway.holds enable row level security;
alter table gateway.hold_parts enable row level security;
alter table gateway.transfers enable row level security;
alter table gateway.usage_lines enable row level security;

-- Append-only by trigger as well as by grant: the owner of these functions could otherwise rewrite history.
create function gateway.refuse_change() returns trigger
language plpgsql
as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation';
end $$;
create trigger transfers_append_only before update or delete or truncate on gateway.transfers
    for each statement execute function gateway.refuse_change();
create trigger prices_append_only before update or delete or truncate on gateway.prices
    for each statement execute function gateway.refuse_change();

create function api.create_account(p_external_id text, p_plan_id text) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v_id bigint;
begin
    insert into gateway.accounts (external_id, plan_id) values (p_external_id, p_plan_id)
    on conflict (external_id) do update set external_id = excluded.external_id
    returning id into v_id;
    insert into gateway.wallets (account_id) values (v_id) on conflict do nothing;
    insert into gateway.quota_usage (account_id) values (v_id) on conflict do nothing;
    return jsonb_build_object('account_id', v_id);
end $$;
comment on function api.create_account is 'Makes an account with its empty wallet; the same external id again answers the same account.';
