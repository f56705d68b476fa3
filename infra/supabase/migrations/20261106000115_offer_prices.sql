-- What an offer costs us and is sold for: under a markup, or at the price that somebody has set.

create function gateway.lock_catalog() returns void
language plpgsql
as $$
begin
    -- Whoever changes what is sold waits here before he reads it: two lists that make the same models would wait for each other,
    -- and what an admin has just set would be overwritten by what was read before.
    perform from gateway.providers order by slug for update;
end $$;
comment on function gateway.lock_catalog is 'Lets one change of what is sold be made at a time. The first lock of a list, of an offer, of an image''s price and of a model.';

create function gateway.complete_cost(p_cost gateway.rates) returns gateway.rates
language plpgsql immutable
as $$
begin
    if p_cost.input_tokens is null or p_cost.output_tokens is null then
        raise exception 'an offer needs a price for input_tokens and output_tokens' using errcode = 'invalid_parameter_value';
    end if;
    -- A cache whose price nobody published is charged as plain input.
    p_cost.cached_input_tokens := coalesce(p_cost.cached_input_tokens, p_cost.input_tokens);
    p_cost.cache_write_tokens := coalesce(p_cost.cache_write_tokens, p_cost.input_tokens);
    p_cost.images := coalesce(p_cost.images, 0);
    p_cost.requests := coalesce(p_cost.requests, 0);
    return p_cost;
end $$;

create function gateway.mark_up_rates(p_cost gateway.rates, p_markup_ppm int) returns gateway.rates
language sql immutable
as $$
    select row(gateway.mark_up(p_cost.input_tokens, p_markup_ppm), gateway.mark_up(p_cost.cached_input_tokens, p_markup_ppm),
               gateway.mark_up(p_cost.cache_write_tokens, p_markup_ppm), gateway.mark_up(p_cost.output_tokens, p_markup_ppm),
               gateway.mark_up(p_cost.images, p_markup_ppm), gateway.mark_up(p_cost.requests, p_markup_ppm))::gateway.rates
$$;

create function gateway.price_for(p_cost gateway.rates, p_markup_ppm int, p_set gateway.rates) returns gateway.rates
language plpgsql immutable
as $$
begin
    if p_set.input_tokens is null then
        return gateway.mark_up_rates(p_cost, p_markup_ppm);
    end if;
    p_set.images := gateway.mark_up(p_cost.images, p_markup_ppm);
    return p_set;
end $$;
comment on function gateway.price_for is
    'What is asked for what costs so much: the markup on it, or the price that is set, which names no images: those are marked up.';

create function gateway.price_again(p_price_id bigint, p_markup_ppm int, p_set gateway.rates) returns bigint
language plpgsql
as $$
declare
    v_old    gateway.prices;
    v_markup int;
    v_price  gateway.rates;
    v_long   bigint;
    v_id     bigint;
begin
    if p_price_id is null then
        return null;
    end if;
    select * into strict v_old from gateway.prices where id = p_price_id;
    v_price := gateway.price_for(v_old.cost, p_markup_ppm, p_set);
    v_markup := case when p_set.input_tokens is null then p_markup_ppm else 0 end;
    -- A price that somebody sets holds for prompts of every length; what they cost us is what they cost.
    v_long := gateway.price_again(v_old.long_price_id, p_markup_ppm, p_set);
    if v_old.price = v_price and v_old.markup_ppm = v_markup and v_old.long_price_id is not distinct from v_long then
        return p_price_id;
    end if;
    insert into gateway.prices (model_id, provider, cost, price, markup_ppm, long_from_tokens, long_price_id, created_at)
    values (v_old.model_id, v_old.provider, v_old.cost, v_price, v_markup, v_old.long_from_tokens, v_long, gateway.clock())
    returning id into v_id;
    return v_id;
end $$;
comment on function gateway.price_again is 'A version with the same cost under this markup, or at a price that is set; the one that there is where that is the same.';

-- Replaces 20261101000300_catalog.sql's function of this name. New in it: it waits its turn, and leaves a price that somebody has set.
create or replace function api.publish_offer(
    p_model_id text, p_provider text, p_upstream_model text, p_cost jsonb, p_markup_ppm int default 0, p_is_confirmed boolean default false
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v_cost    gateway.rates := gateway.complete_cost(jsonb_populate_record(null::gateway.rates, gateway.check_units(p_cost)));
    v_offer   gateway.provider_offers;
    v_current gateway.prices;
    v_set     gateway.rates;
    v_id      bigint;
begin
    perform gateway.lock_catalog();
    select * into v_offer from gateway.provider_offers where model_id = p_model_id and provider = p_provider;
    select * into v_current from gateway.prices where id = v_offer.price_id;
    if v_offer.is_price_overridden then
        v_set := v_current.price;
    end if;
    v_id := gateway.find_or_make_price(p_model_id, p_provider, v_cost, gateway.price_for(v_cost, p_markup_ppm, v_set),
                                       case when v_set.input_tokens is null then p_markup_ppm else 0 end);
    if v_current.id is not null and not p_is_confirmed and gateway.is_jump(v_current.cost, v_cost) then
        update gateway.provider_offers set pending_price_id = v_id where model_id = p_model_id and provider = p_provider;
        return jsonb_build_object('price_id', v_current.id, 'pending_price_id', v_id);
    end if;
    insert into gateway.provider_offers (model_id, provider, upstream_model, price_id)
    values (p_model_id, p_provider, p_upstream_model, v_id)
    on conflict (model_id, provider)
    do update set upstream_model = excluded.upstream_model, price_id = excluded.price_id, pending_price_id = null;
    return jsonb_build_object('price_id', v_id);
end $$;
comment on function api.publish_offer is
    'Puts a model on offer at a provider by hand. A changed cost or markup makes a new price version; the same again changes nothing. A cost that jumps more than tenfold waits, the old price in force, until it is confirmed or published again as confirmed. A price that is set stays.';

-- Replaces 20261105000300_outputs.sql's function of this name. New in it: it waits its turn.
create or replace function api.publish_image_price(
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
    perform gateway.lock_catalog();
    insert into gateway.provider_offers (model_id, provider, upstream_model) values (p_model_id, p_provider, p_upstream_model)
    on conflict (model_id, provider) do nothing;
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
