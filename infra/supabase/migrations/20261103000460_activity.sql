-- What an account used: one line per settled request, sums over any days, and the sums of closed days kept ready.

-- In the order in which an account's lines are read, those of one moment too.
create index usage_lines_of_account on gateway.usage_lines (account_id, created_at, generation_id);
drop index gateway.usage_lines_by_account;

create table gateway.usage_days (
    account_id          bigint not null references gateway.accounts,
    day                 date not null,
    key_id              bigint not null,
    model_id            text not null,
    provider            text not null,
    requests            bigint not null,
    failed_requests     bigint not null,
    input_tokens        bigint not null,
    cached_input_tokens bigint not null,
    cache_write_tokens  bigint not null,
    output_tokens       bigint not null,
    images              bigint not null,
    cost_nanos          bigint not null,
    charged_nanos       bigint not null,
    created_at          timestamptz not null default now(),
    primary key (account_id, day, key_id, model_id, provider)
);
comment on table gateway.usage_days is
    'The usage lines of a closed day (UTC), summed. provider is empty where no provider answered. Only what usage_roll_ups says is rolled up counts.';
alter table gateway.usage_days enable row level security;

create table gateway.usage_roll_ups (
    account_id bigint primary key references gateway.accounts,
    next_day   date not null,
    closed_to  date not null,
    created_at timestamptz not null default now(),
    check (next_day <= closed_to)
) with (fillfactor = 70);
comment on table gateway.usage_roll_ups is
    'How far an account is rolled up: days before next_day are read from usage_days, the rest from usage_lines. No line of a day before closed_to can come any more.';
alter table gateway.usage_roll_ups enable row level security;

create function gateway.day_start(p_day date) returns timestamptz
language sql immutable
as $$ select p_day::timestamp at time zone 'UTC' $$;

create function gateway.summed_lines(p_account_id bigint, p_from date, p_to date) returns setof gateway.usage_days
language sql stable
as $$
    select account_id, (created_at at time zone 'UTC')::date, key_id, model_id, coalesce(provider, ''),
           count(*), count(*) filter (where outcome <> 'completed'),
           sum(coalesce((quantities).input_tokens, 0))::bigint, sum(coalesce((quantities).cached_input_tokens, 0))::bigint,
           sum(coalesce((quantities).cache_write_tokens, 0))::bigint, sum(coalesce((quantities).output_tokens, 0))::bigint,
           sum(coalesce((quantities).images, 0))::bigint, sum(cost_nanos)::bigint, sum(charged_nanos)::bigint, max(created_at)
      from gateway.usage_lines
     where account_id = p_account_id and created_at >= gateway.day_start(p_from) and created_at < gateway.day_start(p_to)
     group by 1, 2, 3, 4, 5
$$;
comment on function gateway.summed_lines is 'The usage lines from one day until before another (UTC), by day, key, model and provider.';

create table gateway.usage_open_days (
    account_id bigint not null,
    day        date not null,
    created_at timestamptz not null default now(),
    primary key (account_id, day)
);
comment on table gateway.usage_open_days is
    'The days (UTC) with usage lines that are not closed yet, so that whoever closes them looks at no account that did nothing.';
alter table gateway.usage_open_days enable row level security;
insert into gateway.usage_open_days (account_id, day) select distinct account_id, (created_at at time zone 'UTC')::date from gateway.usage_lines;

create function gateway.note_open_days() returns trigger
language plpgsql
as $$
begin
    insert into gateway.usage_open_days (account_id, day)
    select distinct account_id, (created_at at time zone 'UTC')::date from written
    on conflict do nothing;
    return null;
end $$;
create trigger note_open_days after insert on gateway.usage_lines
    referencing new table as written for each statement execute function gateway.note_open_days();

create function gateway.close_days(p_account_id bigint, p_today date) returns boolean
language plpgsql
as $$
declare
    v_first date;
begin
    perform from gateway.usage_roll_ups where account_id = p_account_id for update skip locked;
    -- Who sums this account's days may take seconds; nobody waits for that with a wallet in his hands.
    if not found and exists (select from gateway.usage_roll_ups where account_id = p_account_id) then
        return false;
    end if;
    with closed as (
        delete from gateway.usage_open_days where account_id = p_account_id and day < p_today returning day
    )
    select min(day) into v_first from closed;
    if v_first is null then
        return false;
    end if;
    insert into gateway.usage_roll_ups as rolled (account_id, next_day, closed_to)
    values (p_account_id, v_first, p_today)
    on conflict (account_id) do update set closed_to = excluded.closed_to where rolled.closed_to < excluded.closed_to;
    return true;
end $$;

create function api.close_usage_days(p_limit int default 100) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v_account_id bigint;
    v_count      int := 0;
    v_today      date := gateway.last_open_day(gateway.clock());
begin
    for v_account_id in
        select wallet.account_id
          from (select distinct account_id from gateway.usage_open_days where day < v_today) as open_account
          join gateway.wallets as wallet on wallet.account_id = open_account.account_id
         order by wallet.account_id limit p_limit
           for no key update of wallet skip locked
    loop
        v_count := v_count + gateway.close_days(v_account_id, v_today)::int;
    end loop;
    return jsonb_build_object('count', v_count);
end $$;
comment on function api.close_usage_days is
    'Says of accounts that no line of a day before today can come any more. Who settles takes the time under the wallet''s lock, which is had here for a moment; busy wallets are passed over until the next time.';

create function gateway.rolling_time() returns interval
language sql immutable
as $$ select interval '3 seconds' $$;
comment on function gateway.rolling_time is 'How long a call may begin another day. PostgREST ends it at eight seconds, and what is ended so has done nothing.';

create function gateway.next_day_used(p_account_id bigint, p_from date, p_to date) returns date
language sql stable
as $$
    select coalesce((select (created_at at time zone 'UTC')::date from gateway.usage_lines
                      where account_id = p_account_id and created_at >= gateway.day_start(p_from) and created_at < gateway.day_start(p_to)
                      order by created_at limit 1), p_to)
$$;

create function gateway.roll_up_account(p_rolled gateway.usage_roll_ups, p_until timestamptz) returns void
language plpgsql
as $$
declare
    v_next date := p_rolled.next_day;
begin
    loop
        insert into gateway.usage_days (account_id, day, key_id, model_id, provider, requests, failed_requests, input_tokens,
                                        cached_input_tokens, cache_write_tokens, output_tokens, images, cost_nanos, charged_nanos)
        select account_id, day, key_id, model_id, provider, requests, failed_requests, input_tokens,
               cached_input_tokens, cache_write_tokens, output_tokens, images, cost_nanos, charged_nanos
          from gateway.summed_lines(p_rolled.account_id, v_next, v_next + 1);
        v_next := gateway.next_day_used(p_rolled.account_id, v_next + 1, p_rolled.closed_to);
        exit when v_next >= p_rolled.closed_to or clock_timestamp() >= p_until;
    end loop;
    update gateway.usage_roll_ups set next_day = v_next where account_id = p_rolled.account_id;
end $$;

create function api.roll_up_usage(p_limit int default 10) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v_rolled gateway.usage_roll_ups;
    v_until  timestamptz := clock_timestamp() + gateway.rolling_time();
    v_count  int := 0;
begin
    for v_rolled in
        select * from gateway.usage_roll_ups where next_day < closed_to order by account_id limit p_limit for update skip locked
    loop
        -- At least one day each time, so that there is an end to it.
        perform gateway.roll_up_account(v_rolled, v_until);
        v_count := v_count + 1;
        exit when clock_timestamp() >= v_until;
    end loop;
    return jsonb_build_object('count', v_count);
end $$;
comment on function api.roll_up_usage is
    'Sums closed days of some accounts that are behind, for as long as gateway.rolling_time says; what is left is the next call''s. Again, or twice at once, sums nothing twice; no wallet is locked meanwhile.';
create index usage_roll_ups_behind on gateway.usage_roll_ups (account_id) where next_day < closed_to;

create function gateway.usage_between(p_account_id bigint, p_from date, p_to date) returns setof gateway.usage_days
language sql stable
as $$
    with rolled as (
        select coalesce((select next_day from gateway.usage_roll_ups where account_id = p_account_id), '-infinity') as next_day
    )
    select usage.* from rolled, gateway.usage_days as usage
     where usage.account_id = p_account_id and usage.day >= p_from and usage.day < least(p_to, rolled.next_day)
    union all
    select usage.* from rolled, lateral gateway.summed_lines(p_account_id, greatest(p_from, rolled.next_day), p_to) as usage
$$;
comment on function gateway.usage_between is 'What an account used from one day until before another: closed days as they were summed, the others summed now.';

create function gateway.usage_report(p_account_id bigint, p_from date, p_to date) returns jsonb
language sql stable
as $$
    with usage as (
        select day, key_id, model_id, provider, requests, failed_requests, input_tokens, cached_input_tokens,
               cache_write_tokens, output_tokens, images, cost_nanos, charged_nanos
          from gateway.usage_between(p_account_id, p_from, p_to)
    ),
    summed as (
        select case when grouping(day) = 0 then 'day' when grouping(model_id) = 0 then 'model' when grouping(provider) = 0 then 'provider'
                    when grouping(key_id) = 0 then 'key' else 'total' end as part,
               coalesce(day::text, model_id, provider, key_id::text, '') as value, key_id,
               coalesce(sum(requests), 0)::bigint as requests, coalesce(sum(failed_requests), 0)::bigint as failed_requests,
               coalesce(sum(input_tokens), 0)::bigint as input_tokens, coalesce(sum(cached_input_tokens), 0)::bigint as cached_input_tokens,
               coalesce(sum(cache_write_tokens), 0)::bigint as cache_write_tokens, coalesce(sum(output_tokens), 0)::bigint as output_tokens,
               coalesce(sum(images), 0)::bigint as images, coalesce(sum(cost_nanos), 0)::bigint as cost_nanos,
               coalesce(sum(charged_nanos), 0)::bigint as charged_nanos
          from usage group by grouping sets ((), (day), (model_id), (provider), (key_id))
    ),
    ranked as (
        select summed.*, row_number() over (partition by part order by cost_nanos desc, requests desc, value) as rank from summed
    )
    select jsonb_agg(to_jsonb(ranked) - 'rank' - 'key_id' || jsonb_build_object('key_name', key.name) order by rank)
      from ranked left join gateway.api_keys as key on key.id = ranked.key_id and ranked.part = 'key'
     -- A day is never left out, and of the others a hundred tell enough.
     where part = 'day' or rank <= 100
$$;
comment on function gateway.usage_report is 'Sums in all, by day, and of models, providers and keys the hundred that cost most.';

create function api.read_usage(p_caller jsonb, p_from date, p_to date) returns jsonb
language plpgsql security definer set search_path = ''
    set enable_seqscan = off set plan_cache_mode = force_generic_plan set jit = off
as $$
declare
    v record;
begin
    select * into v from gateway.enter(p_caller);
    if v.refusal is not null then
        return v.refusal;
    end if;
    return jsonb_build_object('verdict', 'usage', 'sums', gateway.usage_report((v.key).account_id, p_from, p_to),
                              'policy', gateway.limits_policy((v.key).id));
end $$;
comment on function api.read_usage is 'What the key''s account used from one day until before another (UTC).';

create type gateway.activity_filter as (
    model_id text, provider text, key_id bigint, outcome text, from_at timestamptz, to_at timestamptz, before_at timestamptz, before_id uuid
);
comment on type gateway.activity_filter is
    'Which lines are meant: null is any. Those until before (before_at, before_id), the moment and the id of the last line of the page before.';

create function gateway.window_of_activity(p_account_id bigint, p_filter gateway.activity_filter) returns setof gateway.usage_lines
language sql stable
as $$
    select line.*
      from gateway.usage_lines as line
     where line.account_id = p_account_id
       and line.created_at >= coalesce(p_filter.from_at, '-infinity') and line.created_at < coalesce(p_filter.to_at, 'infinity')
       and (line.created_at, line.generation_id)
           < (coalesce(p_filter.before_at, 'infinity'), coalesce(p_filter.before_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
     -- So many are looked through for one page: who asks for something rare gets it page by page.
     order by line.created_at desc, line.generation_id desc limit 10000
$$;

create function gateway.activity(p_account_id bigint, p_filter gateway.activity_filter, p_limit int) returns jsonb
language sql stable
as $$
    with matched as (
        select line.*
          from gateway.window_of_activity(p_account_id, p_filter) as line
         where (p_filter.model_id is null or line.model_id = p_filter.model_id)
           and (p_filter.provider is null or line.provider = p_filter.provider)
           and (p_filter.key_id is null or line.key_id = p_filter.key_id)
           and (p_filter.outcome is null or line.outcome = p_filter.outcome)
         order by line.created_at desc, line.generation_id desc limit p_limit + 1
    ),
    shown as (
        select matched.*, key.name as key_name
          from (select * from matched order by created_at desc, generation_id desc limit p_limit) as matched
          left join gateway.api_keys as key on key.id = matched.key_id
    )
    select jsonb_build_object(
        'lines', (select coalesce(jsonb_agg(jsonb_build_object(
                             'generation_id', generation_id, 'created_at', created_at, 'model_id', model_id, 'provider', provider,
                             'key_id', key_id, 'key_name', key_name, 'quantities', gateway.all_units(to_jsonb(quantities)),
                             'reasoning_tokens', reasoning_tokens, 'cost_nanos', cost_nanos, 'charged_nanos', charged_nanos,
                             'outcome', outcome, 'is_stream', is_stream, 'usage_source', usage_source,
                             'first_byte_ms', first_byte_ms, 'duration_ms', duration_ms)
                             order by created_at desc, generation_id desc), '[]')
                    from shown),
        'last_seen', case
            when (select count(*) from matched) > p_limit
                then (select jsonb_build_object('created_at', created_at, 'generation_id', generation_id)
                        from shown order by created_at, generation_id limit 1)
            else (select jsonb_build_object('created_at', created_at, 'generation_id', generation_id)
                    from gateway.window_of_activity(p_account_id, p_filter) order by created_at desc, generation_id desc offset 9999 limit 1)
        end)
$$;
comment on function gateway.activity is 'A page of an account''s requests, newest first. last_seen: where the next page goes on; null when there is none.';

create function api.list_activity(p_caller jsonb, p_filter jsonb, p_limit int) returns jsonb
-- A plan that is made before the window is known takes it for small, and would fetch all of it and sort.
language plpgsql security definer set search_path = ''
    set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set plan_cache_mode = force_generic_plan set jit = off
as $$
declare
    v record;
begin
    select * into v from gateway.enter(p_caller);
    if v.refusal is not null then
        return v.refusal;
    end if;
    return gateway.activity((v.key).account_id, jsonb_populate_record(null::gateway.activity_filter, p_filter), p_limit)
        || jsonb_build_object('verdict', 'activity', 'policy', gateway.limits_policy((v.key).id));
end $$;
comment on function api.list_activity is 'A page of what the key''s account asked for and was answered, newest first; p_filter is a gateway.activity_filter.';
