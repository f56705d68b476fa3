-- Closed months of usage and ledger, copied to where they outlive this database, part by part. Nothing is taken away here:
-- balances, requests and the check of the books go on being read from these rows.

create table gateway.archive_parts (
    kind         text not null check (kind in ('ledger', 'usage')),
    month        date not null check (extract(day from month) = 1),
    part         int not null check (part > 0),
    object_key   text not null unique,
    sha256       text not null check (sha256 ~ '^[0-9a-f]{64}$'),
    size_bytes   bigint not null check (size_bytes > 0),
    rows         int not null check (rows >= 0),
    amount_nanos bigint not null,
    last_at      timestamptz,
    last_id      text,
    is_last      boolean not null,
    created_at   timestamptz not null default now(),
    primary key (kind, month, part),
    check ((rows = 0) = (last_at is null) and (last_at is null) = (last_id is null))
);
comment on table gateway.archive_parts is
    'What was copied, and was read back as it stands here: sha256 is that of its lines, size_bytes that of the object. amount_nanos: what its rows come to, charged or moved.';
alter table gateway.archive_parts enable row level security;

create index transfers_by_time on gateway.transfers (created_at, id);

create type gateway.archive_place as (kind text, month date, part int, after_at timestamptz, after_id text);
comment on type gateway.archive_place is 'The next part of a month, and the row that it comes after; null at the beginning of the month.';
create type gateway.archived_row as (line text, at timestamptz, id text, amount_nanos bigint);

create function gateway.next_archive(p_now timestamptz) returns gateway.archive_place
language sql stable
as $$
    with began (kind, at) as (
        select 'ledger', min(created_at) from gateway.transfers union all
        select 'usage', min(created_at) from gateway.usage_lines
    ),
    -- A day after its end nothing is under way any more that could be written into a month.
    closed as (
        select began.kind, month::date
          from began, generate_series(date_trunc('month', began.at at time zone 'UTC'),
                                      date_trunc('month', (p_now - interval '1 day') at time zone 'UTC') - interval '1 month',
                                      interval '1 month') as month
    )
    select closed.kind, closed.month, coalesce(last.part, 0) + 1, last.last_at, last.last_id
      from closed
      left join lateral (select part, last_at, last_id, is_last from gateway.archive_parts
                          where kind = closed.kind and month = closed.month order by part desc limit 1) as last on true
     where last.is_last is not true
     order by closed.month, closed.kind limit 1
$$;

create function gateway.archived_rows(p_place gateway.archive_place, p_limit int) returns setof gateway.archived_row
language plpgsql stable
as $$
declare
    v_from timestamptz := p_place.month::timestamp at time zone 'UTC';
    v_to   timestamptz := (p_place.month + interval '1 month') at time zone 'UTC';
begin
    if p_place.kind = 'ledger' then
        -- By the columns themselves: what is returned has an id that is a text.
        return query
        select jsonb_build_object(
                   'id', id, 'idempotency_key', idempotency_key, 'line_number', line_number, 'debit_account', debit_account,
                   'credit_account', credit_account, 'amount_nanos', amount_nanos, 'kind', kind, 'account_id', account_id, 'lot_id', lot_id,
                   'generation_id', generation_id, 'created_at', created_at at time zone 'UTC')::text,
               created_at, id::text, amount_nanos
          from gateway.transfers
         where created_at >= v_from and created_at < v_to
           and (p_place.after_at is null or (created_at, id) > (p_place.after_at, p_place.after_id::bigint))
         order by transfers.created_at, transfers.id limit p_limit;
    else
        return query
        select jsonb_build_object(
                   'generation_id', generation_id, 'account_id', account_id, 'key_id', key_id, 'model_id', model_id, 'provider', provider,
                   'price_id', price_id, 'quantities', quantities, 'reasoning_tokens', reasoning_tokens, 'usage_source', usage_source,
                   'list_cost_nanos', list_cost_nanos, 'cost_nanos', cost_nanos, 'charged_nanos', charged_nanos,
                   'shortfall_nanos', shortfall_nanos, 'provider_cost_nanos', provider_cost_nanos, 'cost_excess_nanos', cost_excess_nanos,
                   'waived_reason', waived_reason, 'outcome', outcome, 'is_stream', is_stream, 'is_late', is_late, 'attempts', attempts,
                   'first_byte_ms', first_byte_ms, 'duration_ms', duration_ms, 'created_at', created_at at time zone 'UTC')::text,
               created_at, generation_id::text, charged_nanos
          from gateway.usage_lines
         where created_at >= v_from and created_at < v_to
           and (p_place.after_at is null or (created_at, generation_id) > (p_place.after_at, p_place.after_id::uuid))
         order by usage_lines.created_at, usage_lines.generation_id limit p_limit;
    end if;
end $$;
comment on function gateway.archived_rows is 'Rows of a month in their order, those after a place: each as a line of JSON, times in UTC.';

create type gateway.archive_part as (lines text, rows int, amount_nanos bigint, last_at timestamptz, last_id text, is_last boolean);

create function gateway.read_part(p_place gateway.archive_place, p_limit int) returns gateway.archive_part
language sql stable
as $$
    -- One more is read, to know whether more comes.
    with found as (
        select line, at, id, amount_nanos, row_number() over (order by number) as number, count(*) over () as count
          from gateway.archived_rows(p_place, p_limit + 1) with ordinality as listed (line, at, id, amount_nanos, number)
    ),
    kept as (select * from found where number <= p_limit),
    final as (select * from kept order by number desc limit 1)
    select coalesce((select string_agg(line || E'\n', '' order by number) from kept), ''), (select count(*)::int from kept),
           (select coalesce(sum(amount_nanos), 0)::bigint from kept), (select at from final), (select id from final),
           coalesce((select count from final), 0) <= p_limit
$$;

create function api.read_archive_part(p_limit int) returns jsonb
language plpgsql security definer set search_path = '' set statement_timeout = '25s' set plan_cache_mode = force_custom_plan
as $$
declare
    v_place gateway.archive_place := gateway.next_archive(gateway.clock());
    v_part  gateway.archive_part;
begin
    if v_place.kind is null then
        return jsonb_build_object('verdict', 'archived');
    end if;
    v_part := gateway.read_part(v_place, p_limit);
    return jsonb_build_object('verdict', 'part', 'kind', v_place.kind, 'month', to_char(v_place.month, 'YYYY-MM'), 'part', v_place.part,
                              'rows', v_part.rows, 'lines', v_part.lines);
end $$;
comment on function api.read_archive_part is
    'The next part of a closed month that is not copied yet, the oldest first: at most so many rows, a line of JSON each. The same rows again until it is noted.';

create function api.note_archive_part(p_kind text, p_month text, p_part int, p_limit int, p_object jsonb) returns jsonb
language plpgsql security definer set search_path = '' set statement_timeout = '25s' set plan_cache_mode = force_custom_plan set lock_timeout = '4s'
as $$
declare
    v_month date := (p_month || '-01')::date;
    v_place gateway.archive_place;
    v_part  gateway.archive_part;
    v_sum   record;
begin
    perform pg_advisory_xact_lock(hashtext('gateway.archive_parts'));
    v_place := gateway.next_archive(gateway.clock());
    if (v_place.kind, v_place.month, v_place.part) is distinct from (p_kind, v_month, p_part) then
        -- Another run has noted the same part.
        return jsonb_build_object('verdict', case when exists (
            select from gateway.archive_parts
             where kind = p_kind and month = v_month and part = p_part and sha256 = p_object ->> 'sha256') then 'noted' else 'differs' end);
    end if;
    v_part := gateway.read_part(v_place, p_limit);
    if encode(sha256(convert_to(v_part.lines, 'UTF8')), 'hex') <> p_object ->> 'sha256' then
        return jsonb_build_object('verdict', 'differs');
    end if;
    insert into gateway.archive_parts (kind, month, part, object_key, sha256, size_bytes, rows, amount_nanos, last_at, last_id, is_last, created_at)
    values (p_kind, v_month, p_part, p_object ->> 'key', p_object ->> 'sha256', (p_object ->> 'size_bytes')::bigint,
            v_part.rows, v_part.amount_nanos, v_part.last_at, v_part.last_id, v_part.is_last, gateway.clock());
    if v_part.is_last then
        select sum(rows) as rows, sum(amount_nanos) as amount_nanos into v_sum from gateway.archive_parts where kind = p_kind and month = v_month;
        if (v_sum.rows, v_sum.amount_nanos) is distinct from gateway.month_sum(p_kind, v_month) then
            raise exception 'the parts of % % are not all that it has', p_kind, p_month using errcode = 'data_corrupted';
        end if;
    end if;
    return jsonb_build_object('verdict', 'noted');
end $$;
comment on function api.note_archive_part is
    'Notes a part as copied whose sha256, of what was read back, is that of its rows: {key, sha256, size_bytes}. The last part of a month is noted only when all of them are all that the month has.';

create function gateway.month_sum(p_kind text, p_month date, out rows bigint, out amount_nanos numeric)
language sql stable
as $$
    select count(*), coalesce(sum(amount), 0)
      from (select amount_nanos from gateway.transfers
             where p_kind = 'ledger' and created_at >= p_month::timestamp at time zone 'UTC'
               and created_at < (p_month + interval '1 month') at time zone 'UTC'
            union all
            select charged_nanos from gateway.usage_lines
             where p_kind = 'usage' and created_at >= p_month::timestamp at time zone 'UTC'
               and created_at < (p_month + interval '1 month') at time zone 'UTC') as row (amount)
$$;
