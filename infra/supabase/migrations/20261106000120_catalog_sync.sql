-- A provider's own list becomes models, offers and versioned prices.

create type gateway.listing as (
    model_id text, upstream_model text, names text[], name text, description text, context_length int, max_output_tokens int,
    image_input_tokens int, input_modalities text[], output_modalities text[], supported_parameters text[],
    cost gateway.rates, long_from_tokens int, long_cost gateway.rates
);
comment on type gateway.listing is
    'A model that a provider lists, matched and priced. Null: the list does not say. names: by which it is known beside its id. long_cost: for a prompt of long_from_tokens or more.';

create function gateway.quote_listings(p_provider text, p_listed gateway.listing[]) returns table (
    model_id text, listing gateway.listing, markup_ppm int, cost gateway.rates, price gateway.rates, long_cost gateway.rates, long_price gateway.rates,
    is_new boolean, retired_at timestamptz, price_id bigint, pending_price_id bigint, known_price_id bigint, is_jump boolean
)
language sql stable
as $$
    select listed.model_id, listed, case when (taken.set_price).input_tokens is null then taken.markup_ppm else 0 end,
           taken.cost, asked.price, taken.long_cost, asked.long_price,
           offer.model_id is null, offer.retired_at, offer.price_id, offer.pending_price_id,
           case when version.is_current then offer.price_id when version.is_waiting then offer.pending_price_id end,
           current.id is not null and not version.is_current
               and (gateway.is_jump(current.cost, taken.cost)
                    or gateway.is_jump(case when current_long.id is null then current.cost else current_long.cost end,
                                       case when taken.long_cost is null then taken.cost else taken.long_cost end))
      from unnest(p_listed) as listed
      join gateway.providers as seller on seller.slug = p_provider
      left join gateway.provider_offers as offer on offer.model_id = listed.model_id and offer.provider = p_provider
      left join gateway.prices as current on current.id = offer.price_id
      left join gateway.prices as current_long on current_long.id = current.long_price_id
      left join gateway.prices as waiting on waiting.id = offer.pending_price_id
      left join gateway.prices as waiting_long on waiting_long.id = waiting.long_price_id
      cross join lateral (
           select coalesce(offer.markup_ppm, seller.markup_ppm) as markup_ppm, gateway.complete_cost(listed.cost) as cost,
                  case when listed.long_from_tokens is not null then gateway.complete_cost(listed.long_cost) end as long_cost,
                  case when offer.is_price_overridden then current.price end as set_price) as taken
      cross join lateral (
           select gateway.price_for(taken.cost, taken.markup_ppm, taken.set_price) as price,
                  case when listed.long_from_tokens is not null
                       then gateway.price_for(taken.long_cost, taken.markup_ppm, taken.set_price) end as long_price) as asked
      cross join lateral (
           select (current.cost, current.price, current.long_from_tokens, current_long.cost, current_long.price)
                      is not distinct from (taken.cost, asked.price, listed.long_from_tokens, taken.long_cost, asked.long_price) as is_current,
                  (waiting.cost, waiting.price, waiting.long_from_tokens, waiting_long.cost, waiting_long.price)
                      is not distinct from (taken.cost, asked.price, listed.long_from_tokens, taken.long_cost, asked.long_price) as is_waiting) as version
$$;
comment on function gateway.quote_listings is
    'What each listed model would cost and be sold for, beside what it is now: known_price_id is the version that says so already.';

create function gateway.most_output(p_listing gateway.listing) returns int
language sql immutable
as $$
    select case when 'text' = any (p_listing.output_modalities)
                then least(coalesce(nullif(p_listing.max_output_tokens, 0), p_listing.context_length), 10000000) else 0 end
$$;

create function gateway.describe_models(p_provider text, p_listed gateway.listing[]) returns text[]
language plpgsql
as $$
declare
    v_rank      int := (select rank from gateway.providers where slug = p_provider);
    v_described text[];
begin
    insert into gateway.models (id, name, description, context_length, max_output_tokens, image_input_tokens, input_modalities,
                                output_modalities, supported_parameters, described_by)
    select listed.model_id, listed.name, listed.description, listed.context_length, gateway.most_output(listed), listed.image_input_tokens,
           listed.input_modalities, listed.output_modalities, listed.supported_parameters, p_provider
      from unnest(p_listed) as listed
     where not exists (select from gateway.models where id = listed.model_id)
     order by listed.model_id;
    with described as (
        update gateway.models as model
           set name = listed.name, description = coalesce(nullif(listed.description, ''), model.description),
               context_length = listed.context_length, max_output_tokens = gateway.most_output(listed),
               image_input_tokens = listed.image_input_tokens, input_modalities = listed.input_modalities,
               output_modalities = listed.output_modalities, supported_parameters = listed.supported_parameters,
               described_by = p_provider
          from unnest(p_listed) as listed
          left join gateway.models as known on known.id = listed.model_id
          left join gateway.providers as describer on describer.slug = known.described_by
         where model.id = listed.model_id and not model.is_edited
           and (model.described_by is null or model.described_by = p_provider or describer.rank > v_rank)
           -- A list of names alone describes nothing.
           and listed.context_length is not null and listed.input_modalities is not null
           and (model.name, model.description, model.context_length, model.max_output_tokens, model.image_input_tokens,
                model.input_modalities, model.output_modalities, model.supported_parameters, model.described_by)
               is distinct from
               (listed.name, coalesce(nullif(listed.description, ''), model.description), listed.context_length, gateway.most_output(listed),
                listed.image_input_tokens, listed.input_modalities, listed.output_modalities, listed.supported_parameters, p_provider)
        returning model.id
    )
    select coalesce(array_agg(id), '{}') into v_described from described;
    return v_described;
end $$;
comment on function gateway.describe_models is
    'Makes the models that there are not yet, and describes those whose description is this provider''s; returns the ids of those that changed.';

create function gateway.put_offers(p_provider text, p_listed gateway.listing[], p_described text[]) returns jsonb
language sql
as $$
    with quoted as materialized (
        select * from gateway.quote_listings(p_provider, p_listed)
    ),
    made_long as (
        insert into gateway.prices (model_id, provider, cost, price, markup_ppm)
        select model_id, p_provider, long_cost, long_price, markup_ppm from quoted
         where known_price_id is null and long_cost is not null
        returning id, model_id
    ),
    made as (
        insert into gateway.prices (model_id, provider, cost, price, markup_ppm, long_from_tokens, long_price_id)
        select quoted.model_id, p_provider, cost, price, markup_ppm, (listing).long_from_tokens, made_long.id
          from quoted left join made_long on made_long.model_id = quoted.model_id
         where known_price_id is null
        returning id, model_id
    ),
    decided as (
        select quoted.model_id, listing, is_new, retired_at is not null and not is_jump as is_returning,
               case when is_jump then price_id else coalesce(known_price_id, made.id) end as price_id,
               case when is_jump then coalesce(known_price_id, made.id) end as pending_price_id,
               -- What comes back at a price that jumped has none that is worth keeping in force meanwhile.
               case when is_jump then retired_at end as retired_at
          from quoted left join made on made.model_id = quoted.model_id
    ),
    written as (
        insert into gateway.provider_offers as offer (model_id, provider, upstream_model, price_id, pending_price_id, max_output_tokens,
                                                      context_length, is_text_only, is_listed, retired_at)
        select model_id, p_provider, (listing).upstream_model, price_id, pending_price_id, nullif((listing).max_output_tokens, 0),
               (listing).context_length, coalesce(not 'image' = any ((listing).input_modalities), false), true, retired_at
          from decided order by model_id
        on conflict (model_id, provider) do update
           set upstream_model = excluded.upstream_model, price_id = excluded.price_id, pending_price_id = excluded.pending_price_id,
               max_output_tokens = excluded.max_output_tokens, context_length = excluded.context_length,
               is_text_only = excluded.is_text_only, is_listed = true, retired_at = excluded.retired_at
         where (offer.upstream_model, offer.price_id, offer.pending_price_id, offer.max_output_tokens, offer.context_length,
                offer.is_text_only, offer.is_listed, offer.retired_at)
               is distinct from
               (excluded.upstream_model, excluded.price_id, excluded.pending_price_id, excluded.max_output_tokens, excluded.context_length,
                excluded.is_text_only, true, excluded.retired_at)
        returning offer.model_id
    ),
    counted as (
        select is_new, is_returning, pending_price_id is not null as is_pending,
               written.model_id is not null or decided.model_id = any (p_described) as is_changed
          from decided left join written on written.model_id = decided.model_id
    )
    select jsonb_build_object(
               'added', count(*) filter (where is_new),
               'returned', count(*) filter (where is_returning),
               'changed', count(*) filter (where is_changed and not is_new and not is_returning),
               'unchanged', count(*) filter (where not is_changed),
               'pending', count(*) filter (where is_pending))
      from counted
$$;
comment on function gateway.put_offers is
    'Puts what is listed on offer. A changed cost or markup makes a new price version; one that jumps waits, the old price in force, or the offer retired where it was; a price that someone of ours has set stays, at the cost of now.';

create function gateway.is_alias_by_fact(p_alias text, p_model_id text) returns boolean
language sql stable
as $$
    select exists (select from gateway.catalog_facts where kind = 'alias' and key = p_alias and fact = to_jsonb(p_model_id))
$$;

create function gateway.is_offered_as(p_upstream_model text, p_model_id text) returns boolean
language sql stable
as $$
    select exists (select from gateway.provider_offers where model_id = p_model_id and upstream_model = p_upstream_model and is_listed)
$$;
comment on function gateway.is_offered_as is 'Does a provider list, or has it listed, this model under this name? What is retired may come back.';

create function gateway.put_aliases(p_provider text, p_listed gateway.listing[]) returns void
language sql
as $$
    insert into gateway.model_aliases as old (alias, model_id, source)
    select distinct on (named.alias) named.alias, listed.model_id, case when said.alias is null then p_provider else 'infra/catalog' end
      from unnest(p_listed) as listed
      cross join unnest(listed.names) as named (alias)
      left join (select key, fact #>> '{}' from gateway.catalog_facts where kind = 'alias') as said (alias, model_id)
        on said.alias = named.alias and said.model_id = listed.model_id
     where not exists (select from gateway.models where id = named.alias)
     order by named.alias, said.alias, listed.model_id
    on conflict (alias) do update set model_id = excluded.model_id, source = excluded.source
     where (old.model_id, old.source) is distinct from (excluded.model_id, excluded.source)
       and case
           when gateway.is_alias_by_fact(old.alias, old.model_id) then excluded.model_id = old.model_id and excluded.source = 'infra/catalog'
           when excluded.source = 'infra/catalog' then true
           -- A fact that is none any more: the name is as good as the list that has it.
           when old.source = 'infra/catalog' and old.model_id = excluded.model_id then true
           when gateway.is_offered_as(old.alias, old.model_id) then false
           else old.source in (excluded.source, 'infra/catalog')
                or (select rank from gateway.providers where slug = excluded.source)
                   < (select rank from gateway.providers where slug = old.source)
       end
$$;
comment on function gateway.put_aliases is
    'Writes the other names that a list has. A fact of infra/catalog says whose a name is before any list does; a name that a model is offered under stays that model''s; of two lists the one that is nearer the models says whose another is, whichever came first; what is no list''s stays.';

create function gateway.doubt_listing(p_provider text, p_listed gateway.listing[]) returns jsonb
language sql stable
as $$
    -- What is listed under another id of ours is still there, and nothing new.
    with counted as (
        select count(*) filter (where is_offered) as offered, count(*) filter (where is_offered and not is_named) as missing, count(*) as known
          from (select offer.retired_at is null as is_offered,
                       offer.model_id in (select model_id from unnest(p_listed))
                       or offer.upstream_model in (select upstream_model from unnest(p_listed)) as is_named
                  from gateway.provider_offers as offer
                 where offer.provider = p_provider and offer.is_listed) as each
    ),
    grown as (
        select count(*) as added from unnest(p_listed) as listed
         where listed.model_id not in (select model_id from gateway.provider_offers where provider = p_provider)
           and listed.upstream_model not in (select upstream_model from gateway.provider_offers where provider = p_provider)
    )
    select jsonb_build_object('listed', cardinality(p_listed), 'missing', missing, 'offered', offered, 'added', added)
      from counted, grown, gateway.providers as seller
     where seller.slug = p_provider
       and (missing * 2 > offered and not seller.may_shrink
            or known > 0 and added > greatest(known, 200) and not seller.may_grow)
$$;
comment on function gateway.doubt_listing is
    'Why a list is not believed before someone has looked: it misses more than half of what is offered, or has more that was never offered than ever was, and more than 200. Null where it is believed, as a provider''s first one is.';

create function api.sync_listing(p_provider text, p_listings jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v_listed    gateway.listing[];
    v_doubt     jsonb;
    v_described text[];
    v_retired   int;
    v_counts    jsonb;
begin
    insert into gateway.providers (slug) values (p_provider) on conflict do nothing;
    perform gateway.lock_catalog();
    perform gateway.check_units(entry -> 'cost'), gateway.check_units(coalesce(nullif(entry -> 'long_cost', 'null'), '{}'))
       from jsonb_array_elements(p_listings) as entry;
    -- What test keys are answered with is nobody's to sell.
    v_listed := array(select distinct on (listed.model_id) listed from jsonb_populate_recordset(null::gateway.listing, p_listings) as listed
                       where not starts_with(listed.model_id, 'simulated/')
                       order by listed.model_id, listed.upstream_model);

    v_doubt := gateway.doubt_listing(p_provider, v_listed);
    if v_doubt is not null then
        update gateway.providers set waiting = v_doubt where slug = p_provider and waiting is distinct from v_doubt;
        return jsonb_build_object('verdict', 'waiting') || v_doubt;
    end if;
    update gateway.providers set waiting = null, may_shrink = false, may_grow = false
     where slug = p_provider and (waiting is not null or may_shrink or may_grow);

    v_described := gateway.describe_models(p_provider, v_listed);
    v_counts := gateway.put_offers(p_provider, v_listed, v_described);
    -- Nor is there a price to confirm of what is not listed.
    update gateway.provider_offers as offer set retired_at = coalesce(offer.retired_at, gateway.clock()), pending_price_id = null
     where offer.provider = p_provider and offer.is_listed and (offer.retired_at is null or offer.pending_price_id is not null)
       and not exists (select from unnest(v_listed) as listed where listed.model_id = offer.model_id);
    get diagnostics v_retired = row_count;
    perform gateway.put_aliases(p_provider, v_listed);
    return jsonb_build_object('verdict', 'synced', 'retired', v_retired) || v_counts;
end $$;
comment on function api.sync_listing is
    'Makes what a provider lists what we offer of it. The same list again changes nothing; what is listed no more is retired, not deleted; a list that misses or adds more than can be believed changes nothing and waits for someone.';
