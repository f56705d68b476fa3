-- Who may call: plans with their limits, accounts, API keys.
create table gateway.plans (
    id                  text primary key,
    name                text not null,
    requests_per_minute int not null check (requests_per_minute >= 0),
    tokens_per_minute   int not null check (tokens_per_minute >= 0),
    concurrency         int not null check (concurrency >= 0),
    requests_per_day    bigint check (requests_per_day >= 0),
    tokens_per_day      bigint check (tokens_per_day >= 0),
    requests_per_month  bigint check (requests_per_month >= 0),
    tokens_per_month    bigint check (tokens_per_month >= 0),
    created_at          timestamptz not null default now()
);
comment on table gateway.plans is
    'Limits by plan. Per minute and concurrency: 0 is unlimited, held by the limiter. Per day and month (UTC): null is unlimited, held by admission.';

create table gateway.accounts (
    id          bigint generated always as identity (start 1000) primary key,
    external_id text unique,
    plan_id     text not null references gateway.plans,
    status      text not null default 'active' check (status in ('active', 'suspended', 'deleted')),
    created_at  timestamptz not null default now()
);
comment on table gateway.accounts is 'A customer. Ids below 1000 are left to the ledger''s house accounts.';

create table gateway.quota_usage (
    account_id     bigint primary key references gateway.accounts,
    day            date not null default '-infinity',
    day_requests   bigint not null default 0,
    day_tokens     bigint not null default 0,
    month          date not null default '-infinity',
    month_requests bigint not null default 0,
    month_tokens   bigint not null default 0,
    created_at     timestamptz not null default now()
) with (fillfactor = 70);
comment on table gateway.quota_usage is
    'What an account used in the current UTC day and month; a row of a past period counts as zero. Written under the wallet''s lock.';

create table gateway.api_keys (
    id                  bigint generated always as identity primary key,
    account_id          bigint not null references gateway.accounts,
    name                text not null check (length(name) between 1 and 100),
    environment         text not null check (environment in ('live', 'test', 'staging', 'development')),
    key_hmac            bytea not null unique check (length(key_hmac) = 32),
    masked              text not null,
    is_active           boolean not null default true,
    expires_at          timestamptz,
    scopes              text[] not null default '{inference,models:read}',
    model_globs         text[],
    ip_allowlist        cidr[],
    allowed_domains     text[],
    requests_per_minute int check (requests_per_minute >= 0),
    tokens_per_minute   int check (tokens_per_minute >= 0),
    concurrency         int check (concurrency >= 0),
    max_requests        bigint check (max_requests >= 0),
    requests_used       bigint not null default 0 check (requests_used >= 0),
    spend_limit_nanos   bigint check (spend_limit_nanos >= 0),
    spend_limit_period  text not null default 'total' check (spend_limit_period in ('day', 'week', 'month', 'total')),
    spent_nanos         bigint not null default 0 check (spent_nanos >= 0),
    spent_since         timestamptz not null default '-infinity',
    last_used_at        timestamptz,
    created_at          timestamptz not null default now(),
    unique (account_id, name),
    -- A comparison with null is neither true nor false; no list may hold one.
    check (array_position(scopes, null) is null and array_position(model_globs, null) is null
           and array_position(ip_allowlist, null) is null and array_position(allowed_domains, null) is null)
) with (fillfactor = 70);
comment on table gateway.api_keys is
    'A key is found by its HMAC alone; the secret is nowhere. Null lists and limits mean: no restriction beyond the plan''s.';
comment on column gateway.api_keys.spent_nanos is 'Charged since spent_since, the start of the current spend period.';

alter table gateway.plans enable row level security;
alter table gateway.accounts enable row level security;
alter table gateway.quota_usage enable row level security;
alter table gateway.api_keys enable row level security;

create function api.create_api_key(
    p_account_id bigint, p_name text, p_environment text, p_key_hmac text, p_masked text
) returns jsonb
language sql security definer set search_path = ''
as $$
    insert into gateway.api_keys (account_id, name, environment, key_hmac, masked)
    values (p_account_id, p_name, p_environment, decode(p_key_hmac, 'hex'), p_masked)
    on conflict (key_hmac) do update set name = excluded.name where api_keys.account_id = excluded.account_id
    returning jsonb_build_object('key_id', id)
$$;
comment on function api.create_api_key is 'Registers a key by its HMAC (hex). Repeating it for the same account answers the same key; for another account, null.';
