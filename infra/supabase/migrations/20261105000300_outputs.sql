-- What a request may ask to be made: text, embeddings or images; and what an image costs by its size and quality.

alter table gateway.models
    drop constraint models_max_output_tokens_check,
    add constraint models_max_output_tokens_check check (max_output_tokens between 0 and 10000000),
    add constraint models_output_modalities_check check (cardinality(output_modalities) > 0);
comment on column gateway.models.max_output_tokens is 'Zero: the model writes no text.';
comment on column gateway.models.output_modalities is 'What the model makes: text, embeddings, image. It is asked for nothing else.';

create table gateway.image_prices (
    model_id         text not null,
    provider         text not null,
    upstream_model   text not null,
    size             text not null check (size ~ '^[0-9A-Za-z:]{0,20}$'),
    quality          text not null check (quality ~ '^[0-9a-z-]{0,20}$'),
    is_default       boolean not null default false,
    price_id         bigint not null references gateway.prices,
    pending_price_id bigint references gateway.prices,
    created_at       timestamptz not null default now(),
    primary key (model_id, provider, size, quality),
    foreign key (model_id, provider) references gateway.provider_offers
);
comment on table gateway.image_prices is
    'An image that a model makes at a provider, in one size and quality, at a price version of its own whose rate for images is the image''s price. Empty: the model does not know the one or the other, and it is not sent.';
comment on column gateway.image_prices.is_default is
    'Whose size and quality are meant where a request names none; of a model''s providers the cheapest default.';
comment on column gateway.image_prices.upstream_model is 'What the provider calls the model when it makes images; in a chat it may have another name.';
create unique index image_prices_by_default on gateway.image_prices (model_id, provider) where is_default;
alter table gateway.image_prices enable row level security;

alter type gateway.bounds
    add attribute output text,
    add attribute image_size text,
    add attribute image_quality text;
comment on type gateway.bounds is
    'The most that a request may use, as the caller bounded it. Output is per choice; a model that reasons has its own, since what it thinks counts and is not seen. is_cheapest_only: of each model only the cheapest offer is tried. Where the output is images, choices is how many, and image_size and image_quality what was asked, null for the default.';

alter type gateway.offer
    add attribute image_size text,
    add attribute image_quality text;

create or replace function gateway.read_bounds(p_request jsonb) returns gateway.bounds
language plpgsql immutable
as $$
declare
    v_bounds gateway.bounds := jsonb_populate_record(null::gateway.bounds, p_request);
begin
    -- A bound that is missing would be held as zero. Who names no output means text: there was nothing else to mean.
    v_bounds.output := coalesce(v_bounds.output, 'text');
    if (v_bounds.input_tokens >= 0 and v_bounds.images >= 0 and v_bounds.choices > 0 and v_bounds.output_tokens >= 0
        and v_bounds.reasoning_output_tokens >= 0 and v_bounds.is_cheapest_only is not null
        and v_bounds.output in ('text', 'embeddings', 'image')) is not true then
        raise exception 'a request has six bounds and an output: %', p_request using errcode = 'invalid_parameter_value';
    end if;
    return v_bounds;
end $$;

create function gateway.image_variants_meant(p_model_id text, p_providers text[], p_bounds gateway.bounds)
returns setof gateway.image_prices
language plpgsql stable rows 2
as $$
begin
    return query
        select variant.*
          from (select named.size, named.quality
                  from gateway.image_prices as usual
                  join gateway.provider_offers as offer
                    on offer.model_id = usual.model_id and offer.provider = usual.provider and offer.is_enabled
                   and (p_providers is null or offer.provider = any (p_providers))
                  join gateway.image_prices as named
                    on named.model_id = usual.model_id and named.provider = usual.provider
                   and named.size = coalesce(p_bounds.image_size, usual.size)
                   and named.quality = coalesce(p_bounds.image_quality, usual.quality)
                  join gateway.prices as price on price.id = named.price_id
                 where usual.model_id = p_model_id and usual.is_default
                 order by (price.price).images, named.provider
                 limit 1) as meant
          join gateway.image_prices as variant
            on variant.model_id = p_model_id and variant.size = meant.size and variant.quality = meant.quality;
end $$;
comment on function gateway.image_variants_meant is
    'The size and quality that a request means of a model, at every provider that has it: what it does not name is the default''s of the provider that is cheapest then, so that no other provider''s default is ever paid for.';

create or replace function gateway.offers_for(p_models text[], p_providers text[], p_is_test boolean, p_bounds gateway.bounds)
returns setof gateway.offer
language sql stable
as $$
    with offered as (
        select asked.position, asked.model_id, offer.provider, coalesce(variant.upstream_model, offer.upstream_model) as upstream_model,
               price.id as price_id, price.price as rates,
               model.context_length, least(model.max_output_tokens, offer.max_output_tokens) as max_output_tokens,
               'reasoning' = any (model.supported_parameters) as is_reasoning,
               p_bounds.input_tokens + p_bounds.images * coalesce(model.image_input_tokens, 0) as input_tokens,
               case when p_is_test then p_bounds.image_size else nullif(variant.size, '') end as image_size,
               case when p_is_test then p_bounds.image_quality else nullif(variant.quality, '') end as image_quality
          from unnest(p_models) with ordinality as asked (model_id, position)
          join gateway.models as model
            on model.id = asked.model_id and model.is_enabled and p_bounds.output = any (model.output_modalities)
          join gateway.provider_offers as offer
            on offer.model_id = case when p_is_test then 'simulated/echo' else asked.model_id end
           and offer.is_enabled and (p_is_test or p_providers is null or offer.provider = any (p_providers))
          -- A function of its own, so that a request that asks for no image opens none of what it reads.
          left join lateral (
               select meant.upstream_model, meant.size, meant.quality, meant.price_id
                 from gateway.image_variants_meant(offer.model_id, p_providers, p_bounds) as meant
                where p_bounds.output = 'image' and meant.provider = offer.provider
               ) as variant on true
          join gateway.prices as price
            on price.id = case when p_bounds.output = 'image' and not p_is_test then variant.price_id else offer.price_id end
         where p_bounds.images = 0 or model.image_input_tokens is not null
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
comment on function gateway.offers_for is
    'Who may serve a request, the caller''s models in turn and each model''s offers cheapest first, with the most it can cost there; for an image the size and quality that this pays for.';

create function gateway.image_variants(p_models text[]) returns table (size text, quality text)
language sql stable
as $$
    select distinct variant.size, variant.quality
      from gateway.image_prices as variant
      join gateway.provider_offers as offer
        on offer.model_id = variant.model_id and offer.provider = variant.provider and offer.is_enabled
     where variant.model_id = any (p_models)
$$;
comment on function gateway.image_variants is 'The sizes and qualities in which some provider offers images of these models.';

create function gateway.told_variants(p_models text[]) returns text
language sql stable
as $$
    select string_agg(coalesce(nullif(concat_ws(' ', nullif(size, ''), nullif(quality, '')), ''), 'the model''s own'), ', ' order by size, quality)
      from (select size, quality from gateway.image_variants(p_models) order by size, quality limit 30) as first_of_all
$$;
comment on function gateway.told_variants is 'Sizes and qualities as a customer reads them; null where there are none.';

create or replace function gateway.no_offer_refusal(p_models text[], p_bounds gateway.bounds) returns jsonb
language sql stable
as $$
    select case
        when not exists (select from gateway.models where id = any (p_models) and is_enabled)
            then gateway.refusal(404, 'model_not_found', jsonb_build_object('model', p_models[1]))
        when not exists (select from gateway.models where id = any (p_models) and is_enabled and p_bounds.output = any (output_modalities))
            then gateway.refusal(400, 'model_not_for_this', (
                     select jsonb_build_object('model', model.id, 'output', p_bounds.output,
                                               'outputs', array_to_string(model.output_modalities, ', '))
                       from unnest(p_models) with ordinality as asked (model_id, position)
                       join gateway.models as model on model.id = asked.model_id and model.is_enabled
                      order by asked.position limit 1))
        when p_bounds.images > 0
             and not exists (select from gateway.models where id = any (p_models) and is_enabled and image_input_tokens is not null)
            then gateway.refusal(400, 'images_not_supported', jsonb_build_object('model', p_models[1]))
        when p_bounds.output = 'image'
             and not exists (select from unnest(p_models) as asked (model_id), gateway.image_variants_meant(asked.model_id, null, p_bounds))
             and gateway.told_variants(p_models) is not null
            then gateway.refusal(400, 'image_variant_not_offered', jsonb_build_object(
                     'model', p_models[1], 'offered', gateway.told_variants(p_models)))
        else gateway.refusal(404, 'no_provider_available', jsonb_build_object('model', p_models[1]))
    end
$$;

create or replace function gateway.admitted(p_hold gateway.holds, p_offers gateway.offer[]) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'verdict', 'admitted',
        'account_id', p_hold.account_id, 'key_id', p_hold.key_id,
        'hold', jsonb_build_object('amount_nanos', p_hold.amount_nanos, 'state', p_hold.state, 'expires_at', p_hold.expires_at),
        'offers', (select jsonb_agg(jsonb_build_object(
                              'model_id', offer.model_id, 'provider', offer.provider, 'upstream_model', offer.upstream_model,
                              'price_id', offer.price_id, 'context_length', offer.context_length,
                              'max_output_tokens', offer.max_output_tokens, 'is_reasoning', offer.is_reasoning,
                              'output_tokens', offer.output_tokens,
                              'input_tokens', (offer.quantities).input_tokens, 'quote_nanos', offer.quote_nanos,
                              'image_size', offer.image_size, 'image_quality', offer.image_quality) order by offer.position)
                     from unnest(p_offers) with ordinality as offer (model_id, provider, upstream_model, price_id, context_length,
                                                                     max_output_tokens, is_reasoning, output_tokens, quantities, quote_nanos,
                                                                     image_size, image_quality, position)),
        'policy', gateway.limits_policy(p_hold.key_id),
        'is_zero_retention', (select is_zero_retention from gateway.accounts where id = p_hold.account_id))
$$;

create function api.publish_image_price(
    p_model_id text, p_provider text, p_upstream_model text, p_size text, p_quality text, p_cost_nanos_per_image bigint,
    p_markup_ppm int default 0, p_is_default boolean default false, p_is_confirmed boolean default false
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v_cost    gateway.rates := row(0, 0, 0, 0, p_cost_nanos_per_image * 1000000, 0);
    v_price   gateway.rates;
    v_current gateway.image_prices;
    v_id      bigint;
    v_waits   boolean;
begin
    if v_cost.images is null then
        raise exception 'an image needs a price' using errcode = 'invalid_parameter_value';
    end if;
    v_price := row(0, 0, 0, 0, gateway.mark_up(v_cost.images, p_markup_ppm), 0);
    insert into gateway.provider_offers (model_id, provider, upstream_model) values (p_model_id, p_provider, p_upstream_model)
    on conflict (model_id, provider) do nothing;
    -- One at a time: two that each make their variant the default would leave none to be one.
    perform from gateway.provider_offers where model_id = p_model_id and provider = p_provider for update;
    select * into v_current from gateway.image_prices
     where model_id = p_model_id and provider = p_provider and size = p_size and quality = p_quality;
    select price.id into v_id from gateway.prices as price
     where price.id in (v_current.price_id, v_current.pending_price_id) and price.cost = v_cost and price.price = v_price;
    if not found then
        insert into gateway.prices (model_id, provider, cost, price, markup_ppm)
        values (p_model_id, p_provider, v_cost, v_price, p_markup_ppm)
        returning id into v_id;
    end if;
    if not p_is_confirmed and (select gateway.is_jump(price.cost, v_cost) from gateway.prices as price where price.id = v_current.price_id) then
        update gateway.image_prices set pending_price_id = v_id
         where model_id = p_model_id and provider = p_provider and size = p_size and quality = p_quality;
        return jsonb_build_object('price_id', v_current.price_id, 'pending_price_id', v_id);
    end if;
    -- Who names no size pays the default's price, so that another default is a change of price too.
    v_waits := p_is_default and not p_is_confirmed and exists (
        select from gateway.image_prices as usual join gateway.prices as price on price.id = usual.price_id
         where usual.model_id = p_model_id and usual.provider = p_provider and usual.is_default
           and (usual.size, usual.quality) <> (p_size, p_quality) and gateway.is_jump(price.cost, v_cost));
    update gateway.image_prices set is_default = false
     where model_id = p_model_id and provider = p_provider and is_default and p_is_default and not v_waits;
    insert into gateway.image_prices as variant (model_id, provider, upstream_model, size, quality, is_default, price_id)
    values (p_model_id, p_provider, p_upstream_model, p_size, p_quality,
            not exists (select from gateway.image_prices as other
                         where other.model_id = p_model_id and other.provider = p_provider and other.is_default), v_id)
    on conflict (model_id, provider, size, quality)
    do update set price_id = excluded.price_id, pending_price_id = null, upstream_model = excluded.upstream_model,
                  is_default = variant.is_default or excluded.is_default;
    return jsonb_build_object('price_id', v_id) || case when v_waits then '{"is_default_pending": true}' else '{}' end::jsonb;
end $$;
comment on function api.publish_image_price is
    'Puts a model''s images in one size and quality on offer at a provider, the first of them as its default. A changed cost or markup makes a new price version; a cost that jumps more than tenfold waits, the old price or default in force, until it is published again as confirmed.';

create or replace function api.list_models() returns jsonb
language sql stable security definer set search_path = ''
as $$
    select coalesce(jsonb_agg(jsonb_build_object(
               'id', model.id, 'name', model.name, 'description', model.description,
               'created', extract(epoch from model.created_at)::bigint,
               'context_length', model.context_length, 'max_output_tokens', model.max_output_tokens,
               'input_modalities', model.input_modalities, 'output_modalities', model.output_modalities,
               'supported_parameters', model.supported_parameters, 'offers', offers.list) order by model.id), '[]')
      from gateway.models as model,
           lateral (
               select jsonb_agg(jsonb_build_object(
                          'provider', offer.provider,
                          'max_output_tokens', least(model.max_output_tokens, offer.max_output_tokens),
                          'rates', to_jsonb(price.price), 'images', coalesce(images.list, '[]'))
                          order by (price.price).output_tokens, (price.price).input_tokens, images.rate, offer.provider) as list
                 from gateway.provider_offers as offer
                 left join gateway.prices as price on price.id = offer.price_id
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
                where offer.model_id = model.id and offer.is_enabled and (price.id is not null or images.list is not null)
           ) as offers
     where model.is_enabled and offers.list is not null
$$;
comment on function api.list_models is
    'Every routable model with its offers, cheapest first. Rates are nano-dollars per million units; null for an offer of images alone.';

-- What test keys ask is answered inside, whatever it is.
update gateway.models set output_modalities = '{text,embeddings,image}' where id = 'simulated/echo';
select api.publish_image_price('simulated/echo', 'simulated', 'echo', '', '', 0, p_is_default => true);
