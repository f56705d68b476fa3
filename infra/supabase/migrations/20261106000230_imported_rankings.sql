-- What another gateway publishes of its own usage, kept apart from ours and ranked by itself.

create table gateway.imported_model_days (
    source     text not null check (source = 'openrouter'),
    day        date not null,
    model_id   text not null check (length(model_id) between 1 and 200),
    tokens     bigint not null check (tokens between 0 and 1000000000000000),
    created_at timestamptz not null default now(),
    primary key (source, day, model_id)
);
comment on table gateway.imported_model_days is
    'The tokens of a day (UTC) by model, as the source tells them. Its models have its own names; `other` is what it does not tell apart.';
alter table gateway.imported_model_days enable row level security;

create function gateway.imported_uses(p_source text, p_last date, p_days int) returns gateway.ranked_use[]
language sql stable
as $$
    select array(
        select row(model_id, null, null, sum(tokens) filter (where day > p_last - p_days), null,
                   coalesce(sum(tokens) filter (where day <= p_last - p_days), 0))::gateway.ranked_use
          from gateway.imported_model_days
         where source = p_source and day > p_last - 2 * p_days and day <= p_last
         group by model_id having count(*) filter (where day > p_last - p_days) > 0)
$$;

create function gateway.is_other(p_use gateway.ranked_use) returns boolean
language sql immutable
as $$ select p_use.name = 'other' $$;

create function api.import_model_days(p_source text, p_days jsonb, p_as_of timestamptz) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v_last   date;
    v_period record;
    v_uses   gateway.ranked_use[];
begin
    if not pg_try_advisory_xact_lock(hashtext('gateway.import_model_days')) then
        return jsonb_build_object('count', 0);
    end if;
    insert into gateway.imported_model_days as known (source, day, model_id, tokens)
    select p_source, told.day, told.model_id, told.tokens
      from jsonb_to_recordset(p_days) as told (day date, model_id text, tokens bigint)
    on conflict (source, day, model_id) do update set tokens = excluded.tokens where known.tokens <> excluded.tokens;
    select max(day) into v_last from gateway.imported_model_days where source = p_source;
    delete from gateway.imported_model_days where source = p_source and day <= v_last - gateway.ranked_days();
    for v_period in select * from (values ('day', 1), ('week', 7), ('month', 30)) as known (name, days) loop
        v_uses := gateway.imported_uses(p_source, v_last, v_period.days);
        perform gateway.write_ranking(
            p_source, 'models', v_period.name, array(select used from unnest(v_uses) as used where not gateway.is_other(used)),
            gateway.tokens_of(v_uses), p_as_of);
    end loop;
    return jsonb_build_object('count', jsonb_array_length(p_days));
end $$;
comment on function api.import_model_days is
    'Takes over a source''s daily tokens, {day, model_id, tokens}, and ranks its models by the last 1, 7 and 30 of its days. The same again changes nothing.';
