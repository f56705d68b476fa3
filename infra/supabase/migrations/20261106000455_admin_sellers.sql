-- The providers, as admins see them and set what is sold of each.

create function gateway.provider_view(p_slug text) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'slug', p_slug, 'is_enabled', coalesce(seller.is_enabled, true), 'markup_ppm', seller.markup_ppm, 'waiting', seller.waiting,
        'offers', count(offer.model_id), 'enabled', count(offer.model_id) filter (where offer.is_enabled and offer.retired_at is null),
        'retired', count(offer.model_id) filter (where offer.retired_at is not null),
        'pending_prices', count(offer.pending_price_id)
                        + (select count(*) from gateway.image_prices where provider = p_slug and pending_price_id is not null))
      from (values (p_slug)) as named (slug)
      left join gateway.providers as seller on seller.slug = named.slug
      left join gateway.provider_offers as offer on offer.provider = named.slug
     group by seller.slug
$$;
comment on function gateway.provider_view is 'A provider as admins see it; waiting: its last list missed or added more than is believed, and changed nothing.';

create function api.list_sellers(p_admin jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v         record;
    v_sellers jsonb;
begin
    select * into v from gateway.enter_admin(p_admin);
    if v.refusal is not null then
        return v.refusal;
    end if;
    select coalesce(jsonb_agg(gateway.provider_view(slug) order by slug), '[]') into v_sellers
      from (select slug from gateway.providers union select provider from gateway.provider_offers) as known (slug);
    return gateway.admin_answer(v.admin, 'sellers', jsonb_build_object('providers', v_sellers));
end $$;
comment on function api.list_sellers is 'Every provider, with how much is put on its prices and what of it is offered.';

create function api.update_seller(p_admin jsonb, p_provider text, p_changes jsonb, p_receipt jsonb default null) returns jsonb
language plpgsql security definer set search_path = '' set lock_timeout = '4s'
as $$
declare
    v        record;
    v_answer jsonb;
    v_before gateway.providers;
    v_after  gateway.providers;
begin
    if exists (select from jsonb_object_keys(p_changes) as name where name not in ('is_enabled', 'markup_ppm', 'may_shrink', 'may_grow')) then
        raise exception 'nothing of a provider that changes: %', p_changes using errcode = 'invalid_parameter_value';
    end if;
    select * into v from gateway.enter_admin_to_change(p_admin);
    v_answer := coalesce(v.refusal, gateway.admin_replay(v.admin, p_receipt));
    if v_answer is not null then
        return v_answer;
    end if;
    if not exists (select from gateway.providers where slug = p_provider) then
        if not exists (select from gateway.provider_offers where provider = p_provider) then
            return gateway.refusal(404, 'provider_not_found', jsonb_build_object('provider', p_provider)) || gateway.policy_of_admin(v.admin);
        end if;
        insert into gateway.providers (slug) values (p_provider) on conflict do nothing;
    end if;
    perform gateway.lock_catalog();
    select * into strict v_before from gateway.providers where slug = p_provider;
    v_after := jsonb_populate_record(v_before, p_changes);
    if v_after is distinct from v_before then
        update gateway.providers
           set is_enabled = v_after.is_enabled, markup_ppm = v_after.markup_ppm, may_shrink = v_after.may_shrink, may_grow = v_after.may_grow
         where slug = p_provider;
        if v_after.markup_ppm <> v_before.markup_ppm then
            perform gateway.price_offer_again(model_id, provider), gateway.price_images_again(model_id, provider)
               from gateway.provider_offers where provider = p_provider and markup_ppm is null;
        end if;
        perform gateway.write_admin_event(v.admin, null, 'provider_updated', p_provider, p_changes);
    end if;
    return gateway.admin_answer(v.admin, 'seller', jsonb_build_object('provider', gateway.provider_view(p_provider)), p_receipt);
end $$;
comment on function api.update_seller is
    'Enables or disables all that a provider offers, puts another markup on it, or lets its next list miss or add more than is believed. Again changes nothing.';
