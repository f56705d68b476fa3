-- What is sold and for how much, as admins see it and set it. What they set here no list of a provider changes.

create function gateway.price_view(p_price_id bigint) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
               'id', price.id, 'cost', to_jsonb(price.cost), 'price', to_jsonb(price.price), 'markup_ppm', price.markup_ppm,
               'created_at', price.created_at,
               'long_context', case when long.id is not null then
                   jsonb_build_object('from_tokens', price.long_from_tokens, 'cost', to_jsonb(long.cost), 'price', to_jsonb(long.price)) end)
      from gateway.prices as price left join gateway.prices as long on long.id = price.long_price_id
     where price.id = p_price_id
$$;
comment on function gateway.price_view is 'A version of a price as admins see it, with all that confirming it would put in force.';

create function gateway.offer_view(p_offer gateway.provider_offers) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'provider', p_offer.provider, 'upstream_model', p_offer.upstream_model, 'is_enabled', p_offer.is_enabled,
        'retired_at', p_offer.retired_at, 'is_price_overridden', p_offer.is_price_overridden, 'markup_ppm', p_offer.markup_ppm,
        'price', gateway.price_view(p_offer.price_id), 'pending_price', gateway.price_view(p_offer.pending_price_id),
        'images', (select coalesce(jsonb_agg(jsonb_build_object(
                              'size', nullif(variant.size, ''), 'quality', nullif(variant.quality, ''), 'is_default', variant.is_default,
                              'price', gateway.price_view(variant.price_id), 'pending_price', gateway.price_view(variant.pending_price_id))
                              order by variant.is_default desc, variant.size, variant.quality), '[]')
                     from gateway.image_prices as variant
                    where variant.model_id = p_offer.model_id and variant.provider = p_offer.provider))
$$;
comment on function gateway.offer_view is 'An offer as admins see it: what it costs us and the customer, in nano-dollars per million units, and what waits to be confirmed.';

create function gateway.model_view(p_model gateway.models) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'id', p_model.id, 'name', p_model.name, 'description', p_model.description, 'is_enabled', p_model.is_enabled,
        'is_edited', p_model.is_edited, 'context_length', p_model.context_length, 'max_output_tokens', p_model.max_output_tokens,
        'input_modalities', p_model.input_modalities, 'output_modalities', p_model.output_modalities, 'created_at', p_model.created_at,
        'offers', (select coalesce(jsonb_agg(gateway.offer_view(offer) order by offer.provider), '[]')
                     from gateway.provider_offers as offer where offer.model_id = p_model.id))
$$;

create type gateway.catalog_filter as (search text, provider text, is_enabled boolean, is_pending boolean);
comment on type gateway.catalog_filter is 'Which models are meant: null is any. search: a part of the id or the name; is_pending: a price of some offer waits to be confirmed.';

create function gateway.waits_for_price(p_model_id text, p_provider text) returns boolean
language sql stable
as $$
    select exists (select from gateway.provider_offers
                    where model_id = p_model_id and (p_provider is null or provider = p_provider) and pending_price_id is not null)
        or exists (select from gateway.image_prices
                    where model_id = p_model_id and (p_provider is null or provider = p_provider) and pending_price_id is not null)
$$;

create function api.list_catalog(p_admin jsonb, p_filter jsonb, p_limit int, p_after text default null) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v        record;
    v_filter gateway.catalog_filter := jsonb_populate_record(null::gateway.catalog_filter, p_filter);
    v_models jsonb;
begin
    select * into v from gateway.enter_admin(p_admin);
    if v.refusal is not null then
        return v.refusal;
    end if;
    select coalesce(jsonb_agg(gateway.model_view(page) order by page.id), '[]') into v_models
      from (select model.* from gateway.models as model
             where model.id > coalesce(p_after, '')
               and (v_filter.search is null or strpos(lower(model.id), lower(v_filter.search)) > 0 or strpos(lower(model.name), lower(v_filter.search)) > 0)
               and (v_filter.is_enabled is null or model.is_enabled = v_filter.is_enabled)
               and (v_filter.provider is null or exists (select from gateway.provider_offers as offer
                                                          where offer.model_id = model.id and offer.provider = v_filter.provider))
               and (v_filter.is_pending is null or gateway.waits_for_price(model.id, v_filter.provider) = v_filter.is_pending)
             order by model.id limit p_limit) as page;
    return gateway.admin_answer(v.admin, 'catalog', jsonb_build_object('models', v_models));
end $$;
comment on function api.list_catalog is 'A page of all models with all their offers, those that nobody can ask too; p_filter is a gateway.catalog_filter.';

create function gateway.markup_of(p_model_id text, p_provider text) returns int
language sql stable
as $$
    select coalesce(offer.markup_ppm, seller.markup_ppm)
      from gateway.provider_offers as offer left join gateway.providers as seller on seller.slug = offer.provider
     where offer.model_id = p_model_id and offer.provider = p_provider
$$;
comment on function gateway.markup_of is 'What is put on the cost of an offer: its own markup, else its provider''s.';

create function gateway.price_offer_again(p_model_id text, p_provider text, p_set gateway.rates default null) returns void
language plpgsql
as $$
declare
    v_offer    gateway.provider_offers;
    v_markup   int := gateway.markup_of(p_model_id, p_provider);
    v_price_id bigint;
    v_waiting  bigint;
begin
    select * into strict v_offer from gateway.provider_offers where model_id = p_model_id and provider = p_provider;
    if p_set.input_tokens is null and v_offer.is_price_overridden then
        select (price).* into p_set from gateway.prices where id = v_offer.price_id;
    end if;
    v_price_id := gateway.price_again(v_offer.price_id, v_markup, p_set);
    -- Under another id, so that whoever looked at the price of before confirms nothing else.
    v_waiting := gateway.price_again(v_offer.pending_price_id, v_markup, p_set);
    update gateway.provider_offers set price_id = v_price_id, pending_price_id = v_waiting
     where model_id = p_model_id and provider = p_provider and (price_id, pending_price_id) is distinct from (v_price_id, v_waiting);
end $$;
comment on function gateway.price_offer_again is
    'Brings an offer''s price, and one that waits, to the markup that holds for it now, or to what is set: now by p_set, or before.';

create function gateway.price_images_again(p_model_id text, p_provider text) returns void
language plpgsql
as $$
declare
    v_variant  gateway.image_prices;
    v_markup   int := gateway.markup_of(p_model_id, p_provider);
    v_price_id bigint;
    v_waiting  bigint;
begin
    for v_variant in select * from gateway.image_prices where model_id = p_model_id and provider = p_provider loop
        v_price_id := gateway.price_again(v_variant.price_id, v_markup, null);
        v_waiting := gateway.price_again(v_variant.pending_price_id, v_markup, null);
        update gateway.image_prices set price_id = v_price_id, pending_price_id = v_waiting
         where model_id = p_model_id and provider = p_provider and size = v_variant.size and quality = v_variant.quality
           and (price_id, pending_price_id) is distinct from (v_price_id, v_waiting);
    end loop;
end $$;
comment on function gateway.price_images_again is 'Brings the prices of an offer''s images, and those that wait, to the markup that holds for it now.';

create function gateway.read_set_price(p_price jsonb) returns gateway.rates
language plpgsql immutable
as $$
begin
    if coalesce(p_price, 'null') = 'null' then
        return null;
    end if;
    return gateway.complete_cost(jsonb_populate_record(null::gateway.rates, gateway.check_units(p_price)));
end $$;

create function gateway.confirm_prices(p_model_id text, p_provider text, p_price_id bigint) returns boolean
language plpgsql
as $$
declare
    v_is_known boolean := false;
begin
    -- One that is retired is listed again, and waits for this alone.
    update gateway.provider_offers set price_id = pending_price_id, pending_price_id = null, retired_at = null
     where model_id = p_model_id and provider = p_provider and pending_price_id = p_price_id;
    v_is_known := found;
    update gateway.image_prices set price_id = pending_price_id, pending_price_id = null
     where model_id = p_model_id and provider = p_provider and pending_price_id = p_price_id;
    return v_is_known or found;
end $$;
comment on function gateway.confirm_prices is 'Puts a price that jumped in force: the one that was looked at, and no other.';

create function gateway.change_offer(p_admin gateway.admin, p_model_id text, p_changes jsonb, p_now timestamptz) returns jsonb
language plpgsql
as $$
declare
    v_provider text := p_changes ->> 'provider';
    v_before   gateway.provider_offers;
    v_shown    jsonb;
    v_after    gateway.provider_offers;
begin
    if exists (select from jsonb_object_keys(p_changes) as name
                where name not in ('provider', 'is_enabled', 'markup_ppm', 'price', 'confirm_price_id')) then
        raise exception 'nothing of an offer that changes: %', p_changes using errcode = 'invalid_parameter_value';
    elsif p_changes ? 'confirm_price_id' and p_changes ?| '{markup_ppm,price}' then
        raise exception 'a price is confirmed as it is: %', p_changes using errcode = 'invalid_parameter_value';
    end if;
    select * into v_before from gateway.provider_offers where model_id = p_model_id and provider = v_provider for update;
    if not found then
        return gateway.refusal(404, 'offer_not_found', jsonb_build_object('model', p_model_id, 'provider', v_provider));
    elsif p_changes ? 'price' and v_before.price_id is null then
        return gateway.refusal(409, 'offer_has_no_price', jsonb_build_object('model', p_model_id, 'provider', v_provider));
    end if;
    v_shown := gateway.offer_view(v_before);
    if p_changes ? 'confirm_price_id' and not gateway.confirm_prices(p_model_id, v_provider, (p_changes ->> 'confirm_price_id')::bigint) then
        return gateway.refusal(409, 'price_not_pending', jsonb_build_object('model', p_model_id, 'provider', v_provider));
    end if;
    update gateway.provider_offers
       set is_enabled = coalesce((p_changes ->> 'is_enabled')::boolean, is_enabled),
           markup_ppm = case when p_changes ? 'markup_ppm' then (p_changes ->> 'markup_ppm')::int else markup_ppm end,
           is_price_overridden = case when p_changes ? 'price' then p_changes -> 'price' <> 'null' else is_price_overridden end
     where model_id = p_model_id and provider = v_provider
    returning * into v_after;
    if p_changes ?| '{markup_ppm,price}' then
        perform gateway.price_offer_again(p_model_id, v_provider, gateway.read_set_price(p_changes -> 'price'));
    end if;
    if p_changes ? 'markup_ppm' then
        perform gateway.price_images_again(p_model_id, v_provider);
    end if;
    select * into v_after from gateway.provider_offers where model_id = p_model_id and provider = v_provider;
    -- With its images' prices, which are rows of their own.
    if gateway.offer_view(v_after) <> v_shown then
        perform gateway.write_admin_event(p_admin, null, 'offer_updated', p_model_id, p_changes);
    end if;
    return null;
end $$;

create function api.update_model(p_admin jsonb, p_model_id text, p_changes jsonb, p_receipt jsonb default null) returns jsonb
language plpgsql security definer set search_path = '' set lock_timeout = '4s'
as $$
declare
    v        record;
    v_answer jsonb;
    v_before gateway.models;
    v_after  gateway.models;
begin
    if exists (select from jsonb_object_keys(p_changes) as name where name not in ('is_enabled', 'name', 'description', 'offer')) then
        raise exception 'nothing of a model that changes: %', p_changes using errcode = 'invalid_parameter_value';
    end if;
    select * into v from gateway.enter_admin_to_change(p_admin);
    v_answer := coalesce(v.refusal, gateway.admin_replay(v.admin, p_receipt));
    if v_answer is not null then
        return v_answer;
    end if;
    -- Whose list nobody reads has no markup yet. As in a sync, before the lock.
    insert into gateway.providers (slug)
    select provider from gateway.provider_offers
     where model_id = p_model_id and provider = p_changes #>> '{offer,provider}' and p_changes -> 'offer' ?| '{markup_ppm,price}'
    on conflict do nothing;
    perform gateway.lock_catalog();
    select * into v_before from gateway.models where id = p_model_id for no key update;
    if not found then
        return gateway.refusal(404, 'model_not_found', jsonb_build_object('model', p_model_id)) || gateway.policy_of_admin(v.admin);
    end if;
    if p_changes ? 'offer' then
        v_answer := gateway.change_offer(v.admin, p_model_id, p_changes -> 'offer', v.at);
        if v_answer is not null then
            return v_answer || gateway.policy_of_admin(v.admin);
        end if;
    end if;
    v_after := jsonb_populate_record(v_before, p_changes - 'offer');
    v_after.is_edited := v_before.is_edited or (v_after.name, v_after.description) is distinct from (v_before.name, v_before.description);
    if v_after is distinct from v_before then
        update gateway.models
           set is_enabled = v_after.is_enabled, name = v_after.name, description = v_after.description, is_edited = v_after.is_edited
         where id = p_model_id;
        perform gateway.write_admin_event(v.admin, null, 'model_updated', p_model_id, p_changes - 'offer');
    end if;
    return gateway.admin_answer(v.admin, 'model', jsonb_build_object('model', gateway.model_view(v_after)), p_receipt);
end $$;
comment on function api.update_model is
    'Enables, disables or describes a model; of one offer of it: enables, disables, marks up, sets a price or confirms one that waits. Again changes nothing.';
