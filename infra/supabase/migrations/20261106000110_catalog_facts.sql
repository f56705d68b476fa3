-- What providers do not publish in their lists, as infra/catalog has it: prices, other names, limits.

create table gateway.catalog_facts (
    provider   text not null references gateway.providers,
    kind       text not null check (kind in ('price', 'alias', 'model', 'policy')),
    key        text not null check (length(key) between 1 and 200),
    fact       jsonb not null,
    source     text not null check (source ~ '^https://'),
    read_on    date not null,
    created_at timestamptz not null default now(),
    primary key (provider, kind, key)
);
comment on table gateway.catalog_facts is
    'What fills a provider''s list: where it is from, and when it was read there. The files of infra/catalog are what is edited.';
alter table gateway.catalog_facts enable row level security;

create function api.put_catalog_facts(p_provider text, p_facts jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v_written int;
    v_removed int;
begin
    insert into gateway.providers (slug) values (p_provider) on conflict do nothing;
    perform from gateway.providers where slug = p_provider for update;
    delete from gateway.catalog_facts as old
     where old.provider = p_provider
       and not exists (select from jsonb_to_recordset(p_facts) as fact (kind text, key text) where fact.kind = old.kind and fact.key = old.key);
    get diagnostics v_removed = row_count;
    insert into gateway.catalog_facts as old (provider, kind, key, fact, source, read_on)
    select p_provider, fact.kind, fact.key, fact.fact, fact.source, fact.read_on
      from jsonb_to_recordset(p_facts) as fact (kind text, key text, fact jsonb, source text, read_on date)
    on conflict (provider, kind, key) do update
       set fact = excluded.fact, source = excluded.source, read_on = excluded.read_on
     where (old.fact, old.source, old.read_on) is distinct from (excluded.fact, excluded.source, excluded.read_on);
    get diagnostics v_written = row_count;
    return jsonb_build_object('written', v_written, 'removed', v_removed);
end $$;
comment on function api.put_catalog_facts is
    'Replaces what is known of a provider''s models beside its list: [{kind, key, fact, source, read_on}]. The same again changes nothing.';

create function api.read_catalog_base(p_provider text) returns jsonb
language sql stable security definer set search_path = ''
as $$
    select jsonb_build_object(
        'models', coalesce((select jsonb_object_agg(id, name) from gateway.models), '{}'),
        'aliases', coalesce((select jsonb_object_agg(alias, model_id) from gateway.model_aliases), '{}'),
        'offers', coalesce((select jsonb_object_agg(upstream_model, model_id)
                              from (select distinct on (upstream_model) upstream_model, model_id
                                      from gateway.provider_offers where provider = p_provider and is_listed
                                     order by upstream_model, retired_at desc nulls first, model_id) as known), '{}'),
        'facts', coalesce((select jsonb_object_agg(kind, facts)
                             from (select kind, jsonb_object_agg(key, fact) as facts
                                     from gateway.catalog_facts where provider = p_provider group by kind) as by_kind), '{}'))
$$;
comment on function api.read_catalog_base is 'What a provider''s list is read against: every model by id, every other name, what the provider''s names were last offered as, and the facts of the provider by kind and key.';
