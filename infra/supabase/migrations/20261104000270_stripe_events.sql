-- The inbox of Stripe's events: that one came, what it hints at, and whether that was looked at. What it said is read at Stripe anew.

create table gateway.stripe_events (
    id                text primary key check (id ~ '^[!-~]{1,255}$'),
    type              text not null,
    hints             text[] not null check (array_position(hints, null) is null),
    created_at_stripe timestamptz not null,
    received_at       timestamptz not null,
    handled_at        timestamptz,
    tries             int not null default 1 check (tries > 0),
    last_error        text check (length(last_error) <= 500),
    created_at        timestamptz not null default now()
);
comment on table gateway.stripe_events is 'An event that came from Stripe, without its payload. hints: what to read there, such as payment:pi_1.';
create index stripe_events_unhandled on gateway.stripe_events (received_at) where handled_at is null;
create index stripe_events_by_age on gateway.stripe_events (received_at);
alter table gateway.stripe_events enable row level security;

create function api.receive_event(p_id text, p_type text, p_hints text[], p_created bigint) returns jsonb
language sql security definer set search_path = ''
as $$
    insert into gateway.stripe_events as event (id, type, hints, created_at_stripe, received_at, created_at)
    values (p_id, p_type, p_hints, to_timestamp(p_created), gateway.clock(), gateway.clock())
    on conflict (id) do update set tries = event.tries + 1
    returning jsonb_build_object('verdict', 'event', 'is_handled', event.handled_at is not null, 'tries', event.tries)
$$;
comment on function api.receive_event is 'Writes down that an event came. One that was handled need not be handled again; two that handle it at once do no harm.';

create function api.finish_event(p_id text) returns jsonb
language sql security definer set search_path = ''
as $$
    with finished as (
        update gateway.stripe_events set handled_at = coalesce(handled_at, gateway.clock()), last_error = null where id = p_id returning id
    )
    select jsonb_build_object('count', count(*)) from finished
$$;
comment on function api.finish_event is 'All that an event hinted at is posted.';

create function gateway.event_patience() returns interval
language sql immutable
as $$ select interval '192 hours' $$;
comment on function gateway.event_patience is
    'How long an event is tried: eight days. Stripe delivers for three, and what every try of so long has failed at is for a person.';

create function api.fail_event(p_id text, p_error text) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v_event gateway.stripe_events;
begin
    update gateway.stripe_events set last_error = left(p_error, 500) where id = p_id and handled_at is null returning * into v_event;
    if not found then
        return jsonb_build_object('count', 0);
    end if;
    if v_event.received_at <= gateway.clock() - gateway.event_patience() then
        perform api.add_dead_letter('stripe_event', v_event.id, jsonb_build_object('type', v_event.type, 'hints', v_event.hints),
                                    v_event.last_error, v_event.tries);
        update gateway.stripe_events set handled_at = gateway.clock() where id = v_event.id;
    end if;
    return jsonb_build_object('count', 1);
end $$;
comment on function api.fail_event is
    'Why an event could not be handled. It stays unhandled; one that has failed for too long becomes a dead letter, and is tried no more.';

create function api.unhandled_events(p_limit int default 100, p_older_than_s int default 60) returns jsonb
language sql stable security definer set search_path = ''
as $$
    select coalesce(jsonb_agg(jsonb_build_object('id', due.id, 'type', due.type, 'hints', due.hints, 'tries', due.tries)
                              order by due.tries, due.received_at, due.id), '[]')
      from (select id, type, hints, tries, received_at from gateway.stripe_events
             where handled_at is null and received_at <= gateway.clock() - make_interval(secs => p_older_than_s)
             order by tries, received_at, id limit p_limit) as due
$$;
comment on function api.unhandled_events is
    'Events that came some time ago and were not handled, the least tried first, so that those that always fail hold up no other.';

create function api.try_event(p_id text) returns jsonb
language sql security definer set search_path = ''
as $$
    with tried as (
        update gateway.stripe_events set tries = tries + 1 where id = p_id and handled_at is null returning id
    )
    select jsonb_build_object('count', count(*)) from tried
$$;
comment on function api.try_event is
    'Counts a try, before it is made: one that ends its server counts too. 0 is: somebody has handled the event meanwhile.';

create function api.erase_events(p_limit int default 1000) returns jsonb
language sql security definer set search_path = ''
as $$
    -- Stripe delivers for three days; after a month nothing asks for an event any more.
    with erased as (
        delete from gateway.stripe_events
         where id in (select id from gateway.stripe_events
                       where handled_at is not null and received_at < gateway.clock() - interval '30 days'
                       order by received_at limit p_limit for update skip locked)
        returning id
    )
    select jsonb_build_object('count', count(*)) from erased
$$;
comment on function api.erase_events is 'Erases events that were handled a month ago.';
