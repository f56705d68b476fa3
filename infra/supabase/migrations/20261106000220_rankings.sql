-- The public ranking: written down once an hour from the sums of hours, and read as it stands, however much was used.

create table gateway.rankings (
    source          text not null check (source in ('gateway', 'openrouter')),
    subject         text not null check (subject in ('models', 'apps')),
    period          text not null check (period in ('day', 'week', 'month')),
    rank            int not null check (rank > 0),
    name            text not null,
    title           text,
    tokens          bigint not null check (tokens >= 0),
    requests        bigint check (requests >= 0),
    share           numeric(5, 4) not null check (share between 0 and 1),
    trend_percent   numeric,
    trend_direction text not null check (trend_direction in ('up', 'down', 'flat', 'new')),
    updated_at      timestamptz not null,
    created_at      timestamptz not null default now(),
    primary key (source, subject, period, rank),
    check ((trend_percent is null) = (trend_direction = 'new'))
);
comment on table gateway.rankings is
    'What was used most in a period, first first. name: a model''s id, an app''s address. requests: null where the source does not tell. updated_at: until when the source''s numbers go.';
alter table gateway.rankings enable row level security;

create type gateway.ranked_use as (name text, title text, requests bigint, tokens bigint, requests_before bigint, tokens_before bigint);
comment on type gateway.ranked_use is
    'What was used in a period, and in as long a time before it; what was before is per as much time as what is now.';

create function gateway.max_ranks() returns int
language sql immutable
as $$ select 1000 $$;
comment on function gateway.max_ranks is 'How many places a ranking has: more than anybody reads, and whoever names a new app with each request fills no more.';

create function gateway.trend_percent(p_use gateway.ranked_use) returns numeric
language sql immutable
as $$
    select round(case when p_use.tokens_before > 0 then (p_use.tokens - p_use.tokens_before)::numeric * 100 / p_use.tokens_before
                      -- What makes images alone uses no tokens.
                      when p_use.requests_before > 0
                      then (p_use.requests - p_use.requests_before)::numeric * 100 / p_use.requests_before end, 1)
$$;
comment on function gateway.trend_percent is 'By how much more was used than before: tokens, else requests; null of what was not used before.';

create function gateway.write_ranking(
    p_source text, p_subject text, p_period text, p_uses gateway.ranked_use[], p_all_tokens bigint, p_updated_at timestamptz
) returns void
language sql
as $$
    delete from gateway.rankings where source = p_source and subject = p_subject and period = p_period;
    insert into gateway.rankings (source, subject, period, rank, name, title, tokens, requests, share, trend_percent, trend_direction, updated_at)
    select p_source, p_subject, p_period, row_number() over (order by tokens desc, requests desc, name), name, title, tokens, requests,
           case when p_all_tokens > 0 then round(tokens::numeric / p_all_tokens, 4) else 0 end,
           trend, case when trend is null then 'new' when trend > 0 then 'up' when trend < 0 then 'down' else 'flat' end, p_updated_at
      from unnest(p_uses) as used, lateral (select gateway.trend_percent(used) as trend) as change
     order by tokens desc, requests desc, name
     limit gateway.max_ranks()
$$;

create function gateway.model_uses(p_since timestamptz, p_before timestamptz, p_weight numeric) returns gateway.ranked_use[]
language sql stable
as $$
    select array(
        select row(model_id, null, sum(requests) filter (where hour >= p_since), sum(tokens) filter (where hour >= p_since),
                   round(sum(requests * p_weight) filter (where hour < p_since)),
                   round(sum(tokens * p_weight) filter (where hour < p_since)))::gateway.ranked_use
          from gateway.model_hours
         where hour >= p_before
         group by model_id having count(*) filter (where hour >= p_since) > 0)
$$;

create function gateway.public_app_hours(p_from timestamptz, p_to timestamptz)
returns table (account_id bigint, url text, title text, requests bigint, tokens bigint)
language sql stable
as $$
    select key.account_id, app.url, app.title, app.requests, app.tokens
      from gateway.app_hours as app
      -- A key that is revoked can take nothing back any more.
      join gateway.api_keys as key on key.id = app.key_id and key.is_app_public and key.revoked_at is null
       and app.hour >= date_trunc('hour', key.app_public_since)
      join gateway.accounts as account on account.id = key.account_id and account.status = 'active'
     where app.hour >= p_from and app.hour < p_to
$$;
comment on function gateway.public_app_hours is 'What was used by apps within some hours, of keys that let them be public now and did then.';

create function gateway.app_uses(
    p_since timestamptz, p_before timestamptz, p_weight numeric, out uses gateway.ranked_use[], out all_tokens bigint
)
language sql stable
as $$
    with used as materialized (
        select url, sum(requests) as requests, sum(tokens) as tokens from gateway.public_app_hours(p_since, 'infinity') group by url
    ),
    -- The rest is looked up of those alone that have a place.
    placed as materialized (
        select * from used order by tokens desc, requests desc, url limit gateway.max_ranks()
    ),
    earlier as (
        select url, sum(requests) as requests, sum(tokens) as tokens
          from gateway.public_app_hours(p_before, p_since) where url in (select url from placed) group by url
    ),
    titled as (
        select url, account_id, title, sum(requests) as requests, sum(tokens) as tokens
          from gateway.public_app_hours(p_since, 'infinity') where title is not null and url in (select url from placed)
         group by url, account_id, title
    ),
    -- Of several titles of one account the one that was used most.
    own as (
        select distinct on (url, account_id) url, title from titled order by url, account_id, tokens desc, requests desc, title
    ),
    -- Nobody checks whose an address is. So nobody gives it another title than its other users do.
    agreed as (
        select url, case when count(distinct title) = 1 then min(title) end as title from own group by url
    )
    select array(select row(placed.url, agreed.title, placed.requests, placed.tokens,
                            round(earlier.requests * p_weight), round(earlier.tokens * p_weight))::gateway.ranked_use
                   from placed left join earlier using (url) left join agreed using (url)),
           (select coalesce(sum(tokens), 0)::bigint from used)
$$;
comment on function gateway.app_uses is 'The public apps that were used most, and the tokens of all of them.';

create function gateway.tokens_of(p_uses gateway.ranked_use[]) returns bigint
language sql immutable
as $$ select coalesce(sum(tokens), 0)::bigint from unnest(p_uses) $$;

create function gateway.period_hours(p_period text) returns int
language sql immutable
as $$ select case p_period when 'day' then 24 when 'week' then 168 when 'month' then 720 end $$;

-- Hours are joined to their keys as a whole: a plan that looks into the hours of each key takes ten times as long.
create function api.rank_usage(p_subject text, p_period text) returns jsonb
language plpgsql security definer set search_path = '' set timezone = 'UTC' set jit = off set work_mem = '64MB' set enable_nestloop = off
as $$
declare
    v_now    timestamptz := gateway.clock();
    v_length interval := make_interval(hours => gateway.period_hours(p_period));
    v_since  timestamptz := date_trunc('hour', v_now) - v_length;
    -- The hour under way counts too. So the time before it is that much shorter, and weighs that much more.
    v_weight numeric := extract(epoch from v_now - v_since) / extract(epoch from v_length);
    v_uses   gateway.ranked_use[];
    v_all    bigint;
begin
    -- Two would each delete what the other has not written yet, and then write it twice.
    if not pg_try_advisory_xact_lock(hashtext('gateway.rank_usage ' || p_subject || ' ' || p_period)) then
        return jsonb_build_object('count', 0);
    end if;
    if p_subject = 'apps' then
        select uses, all_tokens into v_uses, v_all from gateway.app_uses(v_since, v_since - v_length, v_weight);
    else
        v_uses := gateway.model_uses(v_since, v_since - v_length, v_weight);
        v_all := gateway.tokens_of(v_uses);
    end if;
    perform gateway.write_ranking('gateway', p_subject, p_period, v_uses, v_all, v_now);
    return jsonb_build_object('count', cardinality(v_uses));
end $$;
comment on function api.rank_usage is
    'Ranks models or public apps by the tokens of the last 24 hours, 7 or 30 days, with the hour under way, against as long before. One ranking a call: each reads all sums of its time.';

create function api.read_ranking(p_source text, p_subject text, p_period text, p_limit int, p_offset int) returns jsonb
language sql stable security definer set search_path = ''
as $$
    select jsonb_build_object(
        'updated_at', (select updated_at from gateway.rankings where source = p_source and subject = p_subject and period = p_period limit 1),
        'total', (select count(*) from gateway.rankings where source = p_source and subject = p_subject and period = p_period),
        'places', (select coalesce(jsonb_agg(jsonb_build_object(
                              'rank', rank, 'name', name, 'title', title, 'tokens', tokens, 'requests', requests, 'share', share,
                              'trend_percent', trend_percent, 'trend_direction', trend_direction) order by rank), '[]')
                     from gateway.rankings
                    where source = p_source and subject = p_subject and period = p_period
                      and rank > p_offset and rank <= p_offset + p_limit))
$$;
comment on function api.read_ranking is 'Some places of a ranking, from behind p_offset on; updated_at is null while there is none.';
