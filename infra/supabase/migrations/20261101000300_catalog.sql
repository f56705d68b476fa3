-- What can be called and what it costs: models, prices by version, and who offers which model.

-- A domain per number that comes from outside: bounded before any arithmetic.
create domain gateway.quantity as bigint check (value between 0 and 2000000000);
create domain gateway.rate as bigint check (value between 0 and 1000000000000000000);

create type gateway.quantities as (
    input_tokens        gateway.quantity,
    cached_input_tokens gateway.quantity,
    cache_write_tokens  gateway.quantity,
    output_tokens       gateway.quantity,
    images              gateway.quantity,
    requests            gateway.quantity
);
comment on type gateway.quantities is
    'What a request uses. The token kinds are disjoint: input_tokens are those neither read from nor written to a cache.';

create type gateway.rates as (
    input_tokens        gateway.rate,
    cached_input_tokens gateway.rate,
    cache_write_tokens  gateway.rate,
    output_tokens       gateway.rate,
    images              gateway.rate,
    requests            gateway.rate
);
comment on type gateway.rates is 'Nano-dollars per million units, for each unit of gateway.quantities.';

create table gateway.models (
    id                   text primary key check (id ~ '^[!-~]{1,200}$'),
    name                 text not null,
    description          text not null default '',
    context_length       int not null check (context_length between 1 and 100000000),
    max_output_tokens    int not null check (max_output_tokens between 1 and 10000000),
    image_input_tokens   int check (image_input_tokens > 0),
    input_modalities     text[] not null default '{text}',
    output_modalities    text[] not null default '{text}',
    supported_parameters text[] not null default '{}',
    is_enabled           boolean not null default true,
    created_at           timestamptz not null default now()
);
comment on table gateway.models is 'A model under its canonical id, whoever offers it.';
comment on column gateway.models.image_input_tokens is 'The most tokens one input image can count for; null: the model takes no images.';

create table gateway.prices (
    id         bigint generated always as identity primary key,
    model_id   text not null references gateway.models,
    provider   text not null,
    cost       gateway.rates not null,
    price      gateway.rates not null,
    markup_ppm int not null check (markup_ppm between 0 and 100000000),
    created_at timestamptz not null default now()
);
comment on table gateway.prices is
    'One version of what a provider takes (cost) and what we take (price = cost and markup, rounded up). Never updated.';
create index prices_by_offer on gateway.prices (model_id, provider, id);

create table gateway.provider_offers (
    model_id          text not null references gateway.models,
    provider          text not null check (provider ~ '^[a-z0-9-]{1,40}$'),
    upstream_model    text not null,
    price_id          bigint references gateway.prices,
    pending_price_id  bigint references gateway.prices,
    max_output_tokens int check (max_output_tokens > 0),
    is_enabled        boolean not null default true,
    created_at        timestamptz not null default now(),
    primary key (model_id, provider)
);
comment on table gateway.provider_offers is 'A model at a provider. Without a price it is not routable. pending_price_id: a price that jumped and waits for someone to confirm it.';

alter table gateway.models enable row level security;
alter table gateway.prices enable row level security;
alter table gateway.provider_offers enable row level security;

create function gateway.check_units(p_numbers jsonb) returns jsonb
language plpgsql immutable
as $$
declare
    unknown text;
begin
    select string_agg(name, ', ') into unknown
      from jsonb_object_keys(p_numbers) as name
     where name not in ('input_tokens', 'cached_input_tokens', 'cache_write_tokens', 'output_tokens', 'images', 'requests');
    -- A misspelt unit would otherwise be free, and so would be nothing at all.
    if unknown is not null or p_numbers is null then
        raise exception 'unknown units: %', coalesce(unknown, 'null') using errcode = 'invalid_parameter_value';
    end if;
    return p_numbers;
end $$;
comment on function gateway.check_units is 'Lets an object of numbers by unit pass when every unit is one that is priced.';

create function gateway.read_quantities(p_quantities jsonb) returns gateway.quantities
language sql immutable
as $$ select jsonb_populate_record(null::gateway.quantities, gateway.check_units(p_quantities)) $$;

create function gateway.amount(p_rates gateway.rates, p_quantities gateway.quantities) returns bigint
language sql immutable
as $$
    -- numeric inside: 128 answers of a million tokens at 600 dollars per million overflow bigint on the way.
    -- div, because the slash rounds to some 16 digits before anything could round up.
    select div(
          coalesce(p_quantities.input_tokens, 0)::numeric        * p_rates.input_tokens
        + coalesce(p_quantities.cached_input_tokens, 0)::numeric * p_rates.cached_input_tokens
        + coalesce(p_quantities.cache_write_tokens, 0)::numeric  * p_rates.cache_write_tokens
        + coalesce(p_quantities.output_tokens, 0)::numeric       * p_rates.output_tokens
        + coalesce(p_quantities.images, 0)::numeric              * p_rates.images
        + coalesce(p_quantities.requests, 0)::numeric            * p_rates.requests
        + 999999, 1000000)::bigint
$$;
comment on function gateway.amount is 'The one multiplication of money: quantities times rates, rounded up to the nano-dollar, once.';

create function gateway.amount_to_hold(p_rates gateway.rates, p_quantities gateway.quantities) returns bigint
language plpgsql immutable
as $$
begin
    -- How much of a prompt a provider will read from or write to its cache is known afterwards.
    p_rates.input_tokens := greatest(p_rates.input_tokens, p_rates.cached_input_tokens, p_rates.cache_write_tokens);
    return gateway.amount(p_rates, p_quantities);
end $$;
comment on function gateway.amount_to_hold is 'The most that quantities may cost, when their input may be of any kind.';

create function api.price(p_price_id bigint, p_quantities jsonb) returns jsonb
language sql stable security definer set search_path = ''
as $$
    select jsonb_build_object(
        'list_cost_nanos', gateway.amount(price.price, gateway.read_quantities(p_quantities)),
        'provider_cost_nanos', gateway.amount(price.cost, gateway.read_quantities(p_quantities)))
      from gateway.prices as price
     where price.id = p_price_id
$$;
comment on function api.price is 'What quantities cost the customer and us under one price version; null for an unknown version.';

create function gateway.mark_up(p_cost bigint, p_markup_ppm int) returns bigint
language sql immutable
as $$ select div(p_cost::numeric * (1000000 + p_markup_ppm) + 999999, 1000000)::bigint $$;

create function gateway.is_jump(p_old gateway.rates, p_new gateway.rates) returns boolean
language sql immutable
as $$
    select exists (
        select from (values (p_old.input_tokens::numeric, p_new.input_tokens::numeric), (p_old.output_tokens, p_new.output_tokens),
                            (p_old.cached_input_tokens, p_new.cached_input_tokens), (p_old.cache_write_tokens, p_new.cache_write_tokens),
                            (p_old.images, p_new.images), (p_old.requests, p_new.requests)) as rate (before, after)
         where greatest(before, after) > 10 * least(before, after))
$$;
comment on function gateway.is_jump is 'Whether some rate changes more than tenfold, up or down; from and to nothing too.';

create function gateway.find_or_make_price(
    p_model_id text, p_provider text, p_cost gateway.rates, p_price gateway.rates, p_markup_ppm int
) returns bigint
language plpgsql
as $$
declare
    v_id bigint;
begin
    select price.id into v_id
      from gateway.provider_offers as offer
      join gateway.prices as price on price.id in (offer.price_id, offer.pending_price_id)
     where offer.model_id = p_model_id and offer.provider = p_provider and price.cost = p_cost and price.price = p_price;
    if not found then
        insert into gateway.prices (model_id, provider, cost, price, markup_ppm)
        values (p_model_id, p_provider, p_cost, p_price, p_markup_ppm)
        returning id into v_id;
    end if;
    return v_id;
end $$;

create function api.publish_offer(
    p_model_id text, p_provider text, p_upstream_model text, p_cost jsonb, p_markup_ppm int default 0, p_is_confirmed boolean default false
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v_cost    gateway.rates := jsonb_populate_record(null::gateway.rates, gateway.check_units(p_cost));
    v_price   gateway.rates;
    v_current gateway.prices;
    v_id      bigint;
begin
    if v_cost.input_tokens is null or v_cost.output_tokens is null then
        raise exception 'an offer needs a price for input_tokens and output_tokens' using errcode = 'invalid_parameter_value';
    end if;
    -- A cache whose price nobody published is charged as plain input.
    v_cost.cached_input_tokens := coalesce(v_cost.cached_input_tokens, v_cost.input_tokens);
    v_cost.cache_write_tokens := coalesce(v_cost.cache_write_tokens, v_cost.input_tokens);
    v_cost.images := coalesce(v_cost.images, 0);
    v_cost.requests := coalesce(v_cost.requests, 0);
    v_price := row(
        gateway.mark_up(v_cost.input_tokens, p_markup_ppm), gateway.mark_up(v_cost.cached_input_tokens, p_markup_ppm),
        gateway.mark_up(v_cost.cache_write_tokens, p_markup_ppm), gateway.mark_up(v_cost.output_tokens, p_markup_ppm),
        gateway.mark_up(v_cost.images, p_markup_ppm), gateway.mark_up(v_cost.requests, p_markup_ppm));
    select price.* into v_current
      from gateway.provider_offers as offer
      join gateway.prices as price on price.id = offer.price_id
     where offer.model_id = p_model_id and offer.provider = p_provider;
    v_id := gateway.find_or_make_price(p_model_id, p_provider, v_cost, v_price, p_markup_ppm);
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
    'Puts a model on offer at a provider. A changed cost or markup makes a new price version; the same again changes nothing. A cost that jumps more than tenfold waits, the old price in force, until it is published again as confirmed.';

-- What test keys reach, whatever model they ask for: answers made inside the function, free on purpose.
insert into gateway.models (id, name, description, context_length, max_output_tokens, image_input_tokens, input_modalities)
values ('simulated/echo', 'Echo', 'Answers inside the gateway, at no cost. Test keys get this answer for every model.',
        128000, 16384, 1000, '{text,image}');
select api.publish_offer('simulated/echo', 'simulated', 'echo', '{"input_tokens": 0, "output_tokens": 0}');
