-- A long prompt's price is held where a prompt may be long, and charged where it was. Offers, holds and usage that is on its way
-- name the version for prompts that are not long; what is looked up here is which of the two counts.

create function gateway.price_of_prompt(p_price_id bigint, p_quantities gateway.quantities) returns bigint
language sql stable
as $$
    select case when price.long_from_tokens <= coalesce(p_quantities.input_tokens, 0) + coalesce(p_quantities.cached_input_tokens, 0)
                                               + coalesce(p_quantities.cache_write_tokens, 0)
                then price.long_price_id else price.id end
      from gateway.prices as price where price.id = p_price_id
$$;
comment on function gateway.price_of_prompt is 'The version that counts for quantities: the one for long prompts where the prompt is long.';

alter function api.extend_hold(uuid, bigint, jsonb) rename to extend_hold_at_price;
alter function api.extend_hold_at_price(uuid, bigint, jsonb) set schema gateway;
alter function gateway.extend_hold_at_price(uuid, bigint, jsonb) security invoker;
revoke execute on function gateway.extend_hold_at_price(uuid, bigint, jsonb) from service_role;
comment on function gateway.extend_hold_at_price is 'api.extend_hold, at this version of the price.';

create function api.extend_hold(p_generation_id uuid, p_price_id bigint, p_quantities jsonb) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
begin
    return gateway.extend_hold_at_price(p_generation_id, gateway.price_of_prompt(p_price_id, gateway.read_quantities(p_quantities)), p_quantities);
end $$;
comment on function api.extend_hold is 'Raises a live hold to what the given total quantities cost. Refused once the hold has ended or its time is over.';

alter function api.settle(uuid, bigint, jsonb, text, jsonb, bigint, text, text) rename to settle_at_price;
alter function api.settle_at_price(uuid, bigint, jsonb, text, jsonb, bigint, text, text) set schema gateway;
alter function gateway.settle_at_price(uuid, bigint, jsonb, text, jsonb, bigint, text, text) security invoker;
revoke execute on function gateway.settle_at_price(uuid, bigint, jsonb, text, jsonb, bigint, text, text) from service_role;
comment on function gateway.settle_at_price is 'api.settle, at this version of the price.';

create function api.settle(
    p_generation_id       uuid,
    p_price_id            bigint,
    p_quantities          jsonb,
    p_usage_source        text,
    p_facts               jsonb,
    p_reported_cost_nanos bigint default null,
    p_waived_reason       text default null,
    p_answer              text default null
) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
begin
    return gateway.settle_at_price(p_generation_id, gateway.price_of_prompt(p_price_id, gateway.read_quantities(p_quantities)), p_quantities,
                                   p_usage_source, p_facts, p_reported_cost_nanos, p_waived_reason, p_answer);
end $$;
comment on function api.settle is
    'Charges what a request used: from its hold, then from what is free, the rest to the house; nothing where a retry has taken its place. Settling again answers the first settlement and moves nothing.';
