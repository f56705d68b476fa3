-- One model under one id, whatever it is called elsewhere; who sells, and what a provider's own list may change of an offer.

create table gateway.providers (
    slug        text primary key check (slug ~ '^[a-z0-9-]{1,40}$'),
    is_enabled  boolean not null default true,
    markup_ppm  int not null default 50000 check (markup_ppm between 0 and 100000000),
    rank        int not null default 100,
    may_shrink  boolean not null default false,
    may_grow    boolean not null default false,
    waiting     jsonb,
    created_at  timestamptz not null default now()
);
comment on table gateway.providers is 'How we sell what a provider offers. One that has no row is enabled.';
comment on column gateway.providers.markup_ppm is 'What is put on the prices of its list, in millionths; an offer may have its own.';
comment on column gateway.providers.rank is 'Of two providers that list a model, the lower one''s list says what it is.';
comment on column gateway.providers.may_shrink is 'Its next list may miss more than half of what it had: someone has looked. True for one list.';
comment on column gateway.providers.may_grow is 'Its next list may have any number of models that were never offered: someone has looked. True for one list.';
comment on column gateway.providers.waiting is 'Its last list missed or added more than is believed, and changed nothing: {listed, missing, offered, added}.';
alter table gateway.providers enable row level security;
insert into gateway.providers (slug, rank, markup_ppm)
values ('openrouter', 0, 50000), ('portkey', 100, 50000), ('chutes', 100, 50000), ('featherless', 200, 50000), ('simulated', 1000, 0);

create table gateway.model_aliases (
    alias      text primary key check (alias ~ '^[!-~]{1,200}$'),
    model_id   text not null references gateway.models,
    source     text not null,
    created_at timestamptz not null default now()
);
comment on table gateway.model_aliases is
    'Other names of a model: those of providers and of their catalogs. Never the id of a model. source: whose list has it; infra/catalog: a fact of ours says so.';
create index model_aliases_by_model on gateway.model_aliases (model_id, alias);
alter table gateway.model_aliases enable row level security;

create function gateway.refuse_id_as_alias() returns trigger
language plpgsql
as $$
begin
    if exists (select from gateway.models where id = new.alias) then
        raise exception '% is a model', new.alias using errcode = 'unique_violation';
    end if;
    return new;
end $$;
create trigger model_aliases_are_no_models before insert or update on gateway.model_aliases
    for each row execute function gateway.refuse_id_as_alias();

create function gateway.end_alias() returns trigger
language plpgsql
as $$
begin
    -- What was another name of one model is a model of its own from now on.
    delete from gateway.model_aliases where alias = new.id;
    return new;
end $$;
create trigger models_end_aliases before insert on gateway.models
    for each row execute function gateway.end_alias();

create function gateway.canonical_models(p_models text[]) returns text[]
language sql stable
as $$
    select array(select coalesce(alias.model_id, asked.name)
                   from unnest(p_models) with ordinality as asked (name, position)
                   left join gateway.model_aliases as alias on alias.alias = asked.name
                  order by asked.position)
$$;
comment on function gateway.canonical_models is 'The ids that names stand for, in their order; what is no alias is taken for an id.';

alter table gateway.models
    add column described_by text,
    add column is_edited boolean not null default false;
comment on column gateway.models.described_by is 'The provider whose list says what the model is; null: nobody''s yet.';
comment on column gateway.models.is_edited is 'Someone of ours has said what the model is: no list changes it.';

alter table gateway.prices
    add column long_from_tokens int check (long_from_tokens > 0),
    add column long_price_id bigint references gateway.prices,
    add constraint prices_long_check check ((long_from_tokens is null) = (long_price_id is null));
comment on column gateway.prices.long_price_id is
    'The version that is held for a request whose prompt may have long_from_tokens or more, and charged where it had.';

alter table gateway.provider_offers
    add column context_length int check (context_length between 1 and 100000000),
    add column is_text_only boolean not null default false,
    add column is_listed boolean not null default false,
    add column retired_at timestamptz,
    add column is_price_overridden boolean not null default false,
    add column markup_ppm int check (markup_ppm between 0 and 100000000);
comment on column gateway.provider_offers.context_length is 'Null: the model''s.';
comment on column gateway.provider_offers.is_text_only is 'The provider takes no images for it, though the model does.';
comment on column gateway.provider_offers.is_listed is 'The provider''s own list has had it; else the offer was made by hand, and no list retires it.';
comment on column gateway.provider_offers.retired_at is
    'Since when the provider''s list has it no more: not routable until it is listed again, and where a price waits, until that is confirmed.';
comment on column gateway.provider_offers.is_price_overridden is 'Someone of ours has set the price: no list changes it. What it costs is what the list says.';
comment on column gateway.provider_offers.markup_ppm is 'Null: the provider''s.';

create or replace function gateway.request_refusal(p_key gateway.api_keys, p_models text[]) returns jsonb
language plpgsql stable
as $$
declare
    v_model text;
begin
    if p_key.model_globs is not null then
        -- By its id alone: another name must open no door.
        select asked.name into v_model
          from unnest(p_models, gateway.canonical_models(p_models)) as asked (name, model_id)
         where not gateway.matches_glob(asked.model_id, p_key.model_globs) limit 1;
        if found then
            return gateway.refusal(403, 'model_not_allowed', jsonb_build_object('model', v_model));
        end if;
    end if;
    if p_key.max_requests is not null and p_key.requests_used >= p_key.max_requests then
        return gateway.refusal(429, 'key_requests_exhausted', jsonb_build_object('limit', p_key.max_requests));
    end if;
    return null;
end $$;

-- What follows replaces 20261105000300_outputs.sql's functions of these names and keeps all that they do. New in them: names that
-- are aliases; offers that are retired or whose provider is disabled; an offer's own context and inputs; the price of a long prompt.
create or replace function gateway.image_variants_meant(p_model_id text, p_providers text[], p_bounds gateway.bounds)
returns setof gateway.image_prices
language plpgsql stable rows 2
as $$
begin
    return query
        select variant.*
          from (select named.size, named.quality
                  from gateway.image_prices as usual
                  join gateway.provider_offers as offer
                    on offer.model_id = usual.model_id and offer.provider = usual.provider and offer.is_enabled and offer.retired_at is null
                   and (p_providers is null or offer.provider = any (p_providers))
                  left join gateway.providers as seller on seller.slug = offer.provider
                  join gateway.image_prices as named
                    on named.model_id = usual.model_id and named.provider = usual.provider
                   and named.size = coalesce(p_bounds.image_size, usual.size)
                   and named.quality = coalesce(p_bounds.image_quality, usual.quality)
                  join gateway.prices as price on price.id = named.price_id
                 where usual.model_id = p_model_id and usual.is_default and seller.is_enabled is not false
                 order by (price.price).images, named.provider
                 limit 1) as meant
          join gateway.image_prices as variant
            on variant.model_id = p_model_id and variant.size = meant.size and variant.quality = meant.quality;
end $$;

create or replace function gateway.offers_for(p_models text[], p_providers text[], p_is_test boolean, p_bounds gateway.bounds)
returns setof gateway.offer
language sql stable
as $$
    with offered as (
        select asked.position, model.id as model_id, offer.provider, coalesce(variant.upstream_model, offer.upstream_model) as upstream_model,
               price.id as price_id, case when long.id is null then price.price else long.price end as rates,
               coalesce(offer.context_length, model.context_length) as context_length,
               least(model.max_output_tokens, offer.max_output_tokens) as max_output_tokens,
               'reasoning' = any (model.supported_parameters) as is_reasoning,
               p_bounds.input_tokens + p_bounds.images * coalesce(model.image_input_tokens, 0) as input_tokens,
               case when p_is_test then p_bounds.image_size else nullif(variant.size, '') end as image_size,
               case when p_is_test then p_bounds.image_quality else nullif(variant.quality, '') end as image_quality
          from unnest(p_models) with ordinality as asked (name, position)
          -- One look into each index for each name: left to the planner it would rather read the whole catalog.
          cross join lateral (
               select known.id, known.is_enabled, known.context_length, known.max_output_tokens, known.image_input_tokens,
                      known.output_modalities, known.supported_parameters
                 from gateway.models as known
                where known.id = coalesce((select alias.model_id from gateway.model_aliases as alias where alias.alias = asked.name), asked.name)
               offset 0
               ) as model
          join gateway.provider_offers as offer
            on offer.model_id = case when p_is_test then 'simulated/echo' else model.id end
           and offer.is_enabled and offer.retired_at is null
           and case when p_is_test then offer.provider = 'simulated' else p_providers is null or offer.provider = any (p_providers) end
           and (p_is_test or p_bounds.images = 0 or not offer.is_text_only)
          left join gateway.providers as seller on seller.slug = offer.provider
          -- A function of its own, so that a request that asks for no image opens none of what it reads.
          left join lateral (
               select meant.upstream_model, meant.size, meant.quality, meant.price_id
                 from gateway.image_variants_meant(offer.model_id, p_providers, p_bounds) as meant
                where p_bounds.output = 'image' and meant.provider = offer.provider
               ) as variant on true
          join gateway.prices as price
            on price.id = case when p_bounds.output = 'image' and not p_is_test then variant.price_id else offer.price_id end
          left join gateway.prices as long
            on long.id = price.long_price_id
           and p_bounds.input_tokens + p_bounds.images * coalesce(model.image_input_tokens, 0) >= price.long_from_tokens
         where model.is_enabled and p_bounds.output = any (model.output_modalities)
           and (p_bounds.images = 0 or model.image_input_tokens is not null) and seller.is_enabled is not false
    ),
    bounded as (
        select offered.*, least(case when is_reasoning then p_bounds.reasoning_output_tokens else p_bounds.output_tokens end,
                                max_output_tokens) as output_tokens
          from offered
    ),
    quoted as (
        select bounded.*, quantities, gateway.amount_to_hold(rates, quantities) as quote_nanos
          from bounded, lateral (select row(input_tokens, 0, 0, p_bounds.choices * output_tokens,
                                            case when p_bounds.output = 'image' then p_bounds.choices else p_bounds.images end,
                                            1)::gateway.quantities) as most (quantities)
    ),
    ranked as (
        select quoted.*, row_number() over (partition by position order by quote_nanos, provider) as rank from quoted
    )
    select model_id, provider, upstream_model, price_id, context_length, max_output_tokens, is_reasoning, output_tokens, quantities, quote_nanos,
           image_size, image_quality
      from ranked
     where rank = 1 or not p_bounds.is_cheapest_only
     order by position, quote_nanos, provider
$$;

create or replace function gateway.image_variants(p_models text[]) returns table (size text, quality text)
language sql stable
as $$
    select distinct variant.size, variant.quality
      from gateway.image_prices as variant
      join gateway.provider_offers as offer
        on offer.model_id = variant.model_id and offer.provider = variant.provider and offer.is_enabled and offer.retired_at is null
      left join gateway.providers as seller on seller.slug = offer.provider
     where variant.model_id = any (gateway.canonical_models(p_models)) and seller.is_enabled is not false
$$;

-- In a language that knows variables: the canonical ids are looked up once.
create or replace function gateway.no_offer_refusal(p_models text[], p_bounds gateway.bounds) returns jsonb
language plpgsql stable
as $$
declare
    v_models text[] := gateway.canonical_models(p_models);
begin
    return case
        when not exists (select from gateway.models where id = any (v_models) and is_enabled)
            then gateway.refusal(404, 'model_not_found', jsonb_build_object('model', p_models[1]))
        when not exists (select from gateway.models where id = any (v_models) and is_enabled and p_bounds.output = any (output_modalities))
            then gateway.refusal(400, 'model_not_for_this', (
                     select jsonb_build_object('model', asked.name, 'output', p_bounds.output,
                                               'outputs', array_to_string(model.output_modalities, ', '))
                       from unnest(p_models, v_models) with ordinality as asked (name, model_id, position)
                       join gateway.models as model on model.id = asked.model_id and model.is_enabled
                      order by asked.position limit 1))
        when p_bounds.images > 0
             and not exists (select from gateway.models where id = any (v_models) and is_enabled and image_input_tokens is not null)
            then gateway.refusal(400, 'images_not_supported', jsonb_build_object('model', p_models[1]))
        when p_bounds.output = 'image'
             and not exists (select from unnest(v_models) as asked (model_id), gateway.image_variants_meant(asked.model_id, null, p_bounds))
             and gateway.told_variants(v_models) is not null
            then gateway.refusal(400, 'image_variant_not_offered', jsonb_build_object(
                     'model', p_models[1], 'offered', gateway.told_variants(v_models)))
        else gateway.refusal(404, 'no_provider_available', jsonb_build_object('model', p_models[1]))
    end;
end $$;

create or replace function gateway.turn_budget(p_turn jsonb) returns int
language sql stable
as $$
    select greatest(0, least(100000, min(model.context_length - (p_turn ->> 'input_tokens')::bigint
                                         - (p_turn ->> 'images')::bigint * coalesce(model.image_input_tokens, 0)
                                         - least(model.max_output_tokens,
                                                 (p_turn ->> case when 'reasoning' = any (model.supported_parameters)
                                                                  then 'reasoning_output_tokens' else 'output_tokens' end)::bigint))))::int
      from gateway.models as model
     where model.is_enabled
       and model.id = any (gateway.canonical_models(array(select jsonb_array_elements_text(p_turn -> 'models'))))
$$;

create or replace function api.list_models() returns jsonb
language sql stable security definer set search_path = ''
as $$
    select coalesce(jsonb_agg(jsonb_build_object(
               'id', model.id, 'name', model.name, 'description', model.description,
               'created', extract(epoch from model.created_at)::bigint,
               'context_length', model.context_length, 'max_output_tokens', model.max_output_tokens,
               'input_modalities', model.input_modalities, 'output_modalities', model.output_modalities,
               'supported_parameters', model.supported_parameters, 'offers', offers.list,
               'aliases', array(select alias from gateway.model_aliases where model_id = model.id order by alias))
               order by model.id), '[]')
      from gateway.models as model,
           lateral (
               select jsonb_agg(jsonb_build_object(
                          'provider', offer.provider,
                          'context_length', coalesce(offer.context_length, model.context_length),
                          'max_output_tokens', least(model.max_output_tokens, offer.max_output_tokens),
                          'rates', to_jsonb(price.price), 'images', coalesce(images.list, '[]'),
                          'long_context', case when long.price <> price.price then
                              jsonb_build_object('from_tokens', price.long_from_tokens, 'rates', to_jsonb(long.price)) end)
                          order by (price.price).output_tokens, (price.price).input_tokens, images.rate, offer.provider) as list
                 from gateway.provider_offers as offer
                 left join gateway.providers as seller on seller.slug = offer.provider
                 left join gateway.prices as price on price.id = offer.price_id
                 left join gateway.prices as long on long.id = price.long_price_id
                 left join lateral (
                      select jsonb_agg(jsonb_build_object(
                                 'size', nullif(variant.size, ''), 'quality', nullif(variant.quality, ''),
                                 'rate', (paid.price).images, 'is_default', variant.is_default)
                                 order by variant.is_default desc, (paid.price).images, variant.size, variant.quality) as list,
                             min((paid.price).images) as rate
                        from gateway.image_prices as variant
                        join gateway.prices as paid on paid.id = variant.price_id
                       where variant.model_id = offer.model_id and variant.provider = offer.provider
                      ) as images on true
                where offer.model_id = model.id and offer.is_enabled and offer.retired_at is null and seller.is_enabled is not false
                  and (price.id is not null or images.list is not null)
           ) as offers
     where model.is_enabled and offers.list is not null
$$;
comment on function api.list_models is
    'Every routable model with its offers, cheapest first, and its other names. Rates are nano-dollars per million units; null for an offer of images alone.';
