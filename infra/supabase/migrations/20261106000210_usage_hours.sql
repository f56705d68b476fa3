-- What was used within each hour, of each model and of each public app: an hour of usage lines is summed when it is over, once.

create table gateway.model_hours (
    hour       timestamptz not null,
    model_id   text not null,
    requests   bigint not null,
    tokens     bigint not null,
    created_at timestamptz not null default now(),
    primary key (hour, model_id)
);
comment on table gateway.model_hours is 'The usage lines of an hour, summed by model. Those before usage_hours_summed.next_hour are final; that hour and those after it are summed anew.';
alter table gateway.model_hours enable row level security;

create table gateway.app_hours (
    hour       timestamptz not null,
    key_id     bigint not null references gateway.api_keys,
    url        text not null,
    title      text,
    requests   bigint not null,
    tokens     bigint not null,
    created_at timestamptz not null default now(),
    primary key (hour, key_id, url)
);
comment on table gateway.app_hours is
    'The same by app, of keys that let their apps be public: by key, so that one that takes it back takes with it what is already summed. title: the one that the key named most.';
alter table gateway.app_hours enable row level security;

create table gateway.usage_hours_summed (
    is_one     boolean primary key default true check (is_one),
    next_hour  timestamptz not null,
    created_at timestamptz not null default now()
);
comment on table gateway.usage_hours_summed is 'One row: the first hour that is not summed for good.';
alter table gateway.usage_hours_summed enable row level security;
insert into gateway.usage_hours_summed (next_hour) values ('-infinity');

create function gateway.ranked_days() returns int
language sql immutable
as $$ select 60 $$;
comment on function gateway.ranked_days is 'How far back a ranking looks: the longest period, and as much before it.';

create function gateway.max_apps_of_key() returns int
language sql immutable
as $$ select 20 $$;
comment on function gateway.max_apps_of_key is 'How many apps of one key count in an hour: whoever names a new one with each request makes the sums no longer.';

create function gateway.max_apps_of_hour() returns int
language sql immutable
as $$ select 1000 $$;
comment on function gateway.max_apps_of_hour is
    'How many apps count in an hour, by key, those first that were used most: what a ranking of months reads has an end.';

create function gateway.all_tokens(p_quantities gateway.quantities) returns bigint
language sql immutable
as $$
    select coalesce(p_quantities.input_tokens, 0)::bigint + coalesce(p_quantities.cached_input_tokens, 0)
         + coalesce(p_quantities.cache_write_tokens, 0) + coalesce(p_quantities.output_tokens, 0)
$$;

-- What the simulated provider answers costs nothing, and what the house paid for was no use to anybody.
create function gateway.ranked_lines(p_from timestamptz, p_to timestamptz) returns setof gateway.usage_lines
language sql stable
as $$
    select line.* from gateway.usage_lines as line
     where line.created_at >= p_from and line.created_at < p_to
       and line.provider <> 'simulated' and line.waived_reason is null
$$;
comment on function gateway.ranked_lines is 'The usage lines of a time that count in a ranking.';

create function gateway.sum_hour(p_hour timestamptz) returns void
language sql
as $$
    delete from gateway.model_hours where hour = p_hour;
    delete from gateway.app_hours where hour = p_hour;
    insert into gateway.model_hours (hour, model_id, requests, tokens)
    select p_hour, model_id, count(*), sum(gateway.all_tokens(quantities))
      from gateway.ranked_lines(p_hour, p_hour + interval '1 hour')
     group by model_id;
    with titled as (
        select line.key_id, line.request #>> '{app,url}' as url, line.request #>> '{app,title}' as title, count(*) as requests,
               sum(gateway.all_tokens(line.quantities)) as tokens
          from gateway.ranked_lines(p_hour, p_hour + interval '1 hour') as line
          join gateway.api_keys as key on key.id = line.key_id and key.is_app_public and line.created_at >= key.app_public_since
          -- Of one that is gone what it used is erased.
          join gateway.accounts as account on account.id = key.account_id and account.status <> 'deleted'
         where line.request #>> '{app,url}' is not null
         group by 1, 2, 3
    ),
    used as (
        select key_id, url, (array_agg(title order by tokens desc, requests desc, title) filter (where title is not null))[1] as title,
               sum(requests) as requests, sum(tokens) as tokens
          from titled group by key_id, url
    ),
    placed as (
        select used.*, row_number() over (partition by key_id order by tokens desc, requests desc, url) as place from used
    )
    insert into gateway.app_hours (hour, key_id, url, title, requests, tokens)
    select p_hour, key_id, url, title, requests, tokens from placed
     where place <= gateway.max_apps_of_key()
     order by tokens desc, requests desc, key_id, url limit gateway.max_apps_of_hour()
$$;
comment on function gateway.sum_hour is 'Sums the usage lines of one hour, in the place of what was summed of it before.';

create function gateway.next_hour_used(p_from timestamptz, p_to timestamptz) returns timestamptz
language sql stable
as $$
    select coalesce((select date_trunc('hour', created_at) from gateway.usage_lines
                      where created_at >= p_from and created_at < p_to order by created_at limit 1), p_to)
$$;

create function api.sum_usage_hours() returns jsonb
language plpgsql security definer set search_path = '' set timezone = 'UTC'
    set enable_seqscan = off set plan_cache_mode = force_generic_plan set jit = off
as $$
declare
    v_until timestamptz := clock_timestamp() + gateway.rolling_time();
    v_now   timestamptz := gateway.clock();
    v_end   timestamptz := date_trunc('hour', v_now) + interval '1 hour';
    -- As long after its end as a day's, no line of an hour comes any more.
    v_final timestamptz := date_trunc('hour', v_now - interval '10 minutes');
    v_hour  timestamptz;
    v_count int := 0;
begin
    select next_hour into v_hour from gateway.usage_hours_summed for update skip locked;
    if not found then
        -- Somebody else is at it.
        return jsonb_build_object('hours', 0, 'is_behind', false);
    end if;
    delete from gateway.model_hours where hour < v_now - make_interval(days => gateway.ranked_days() + 1);
    delete from gateway.app_hours where hour < v_now - make_interval(days => gateway.ranked_days() + 1);
    v_hour := greatest(v_hour, date_trunc('hour', v_now) - make_interval(days => gateway.ranked_days()));
    loop
        v_hour := gateway.next_hour_used(v_hour, v_end);
        -- One hour at least, so that there is an end to it.
        exit when v_hour >= v_end or (v_count > 0 and clock_timestamp() >= v_until);
        perform gateway.sum_hour(v_hour);
        v_count := v_count + 1;
        v_hour := v_hour + interval '1 hour';
    end loop;
    update gateway.usage_hours_summed set next_hour = least(v_hour, v_final) where next_hour < least(v_hour, v_final);
    return jsonb_build_object('hours', v_count, 'is_behind', v_hour < v_end);
end $$;
comment on function api.sum_usage_hours is
    'Sums the hours that are over, and the one under way as far as it is, for as long as gateway.rolling_time says; is_behind: there is more. Again, or twice at once, counts nothing twice.';
