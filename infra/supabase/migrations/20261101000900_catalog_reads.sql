-- What the catalog function answers from.
create sequence gateway.pings;

create function api.count_ping() returns bigint
language sql volatile security definer set search_path = ''
as $$ select nextval('gateway.pings') $$;
comment on function api.count_ping is 'Counts a ping for ever; also the database''s sign of life.';

create function api.list_models() returns jsonb
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
                          'rates', to_jsonb(price.price)) order by (price.price).output_tokens, (price.price).input_tokens, offer.provider) as list
                 from gateway.provider_offers as offer
                 join gateway.prices as price on price.id = offer.price_id
                where offer.model_id = model.id and offer.is_enabled
           ) as offers
     where model.is_enabled and offers.list is not null
$$;
comment on function api.list_models is 'Every routable model with its offers, cheapest first. Rates are nano-dollars per million units.';

create function api.provider_health() returns jsonb
language sql stable security definer set search_path = ''
as $$
    with attempt as (
        select each.attempt ->> 'provider' as provider,
               (each.attempt ->> 'is_success')::boolean as is_success,
               (each.attempt ->> 'first_byte_ms')::int as first_byte_ms
          from gateway.usage_lines as line, jsonb_array_elements(line.attempts) as each (attempt)
         where line.created_at > gateway.clock() - interval '1 hour'
           and not (each.attempt ->> 'is_request_at_fault')::boolean
    )
    select coalesce(jsonb_object_agg(provider, jsonb_build_object(
               'requests', requests, 'success_rate', success_rate, 'median_latency_ms', median_latency_ms)), '{}')
      from (select provider, count(*) as requests, round(avg(is_success::int), 4) as success_rate,
                   percentile_disc(0.5) within group (order by first_byte_ms) filter (where is_success) as median_latency_ms
              from attempt group by provider) as health
$$;
comment on function api.provider_health is 'How each provider answered us in the last hour, by settled requests'' attempts.';
