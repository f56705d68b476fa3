-- What was given up, as admins see it and have it tried again.

create function gateway.letter_view(p_letter gateway.dead_letters) returns jsonb
language sql immutable
as $$
    select jsonb_build_object(
               'id', p_letter.id, 'kind', p_letter.kind, 'subject', p_letter.subject, 'payload', p_letter.payload, 'reason', p_letter.reason,
               'tries', p_letter.tries, 'created_at', p_letter.created_at, 'resolved_at', p_letter.resolved_at)
$$;

create type gateway.letter_filter as (kind text, is_open boolean);

create function api.list_dead_letters(p_admin jsonb, p_filter jsonb, p_limit int, p_before bigint default null) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v         record;
    v_filter  gateway.letter_filter := jsonb_populate_record(null::gateway.letter_filter, p_filter);
    v_letters jsonb;
begin
    select * into v from gateway.enter_admin(p_admin);
    if v.refusal is not null then
        return v.refusal;
    end if;
    select coalesce(jsonb_agg(gateway.letter_view(page) order by page.id desc), '[]') into v_letters
      from (select * from gateway.dead_letters
             where id < coalesce(p_before, 9223372036854775807) and (v_filter.kind is null or kind = v_filter.kind)
               and (v_filter.is_open is null or (resolved_at is null) = v_filter.is_open)
             order by id desc limit p_limit) as page;
    return gateway.admin_answer(v.admin, 'dead_letters', jsonb_build_object('letters', v_letters));
end $$;
comment on function api.list_dead_letters is 'A page of what was given up, newest first, those before an id; p_filter is a gateway.letter_filter.';

create function api.read_dead_letter(p_admin jsonb, p_letter_id bigint, p_receipt jsonb default null) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v        record;
    v_letter gateway.dead_letters;
    v_answer jsonb;
begin
    select * into v from gateway.enter_admin(p_admin);
    v_answer := coalesce(v.refusal, gateway.admin_replay(v.admin, p_receipt));
    if v_answer is not null then
        return v_answer;
    end if;
    select * into v_letter from gateway.dead_letters where id = p_letter_id;
    if not found then
        return gateway.refusal(404, 'dead_letter_not_found') || gateway.policy_of_admin(v.admin);
    end if;
    return gateway.admin_answer(v.admin, 'dead_letter', jsonb_build_object('letter', gateway.letter_view(v_letter)));
end $$;
comment on function api.read_dead_letter is
    'One of those that were given up; with the receipt of a change, what that change was answered before.';

create function gateway.requeue_event(p_id text, p_type text, p_hints text[], p_now timestamptz) returns void
language sql
as $$
    insert into gateway.stripe_events as event (id, type, hints, created_at_stripe, received_at, created_at)
    values (p_id, p_type, p_hints, p_now, p_now, p_now)
    -- Its patience begins anew.
    on conflict (id) do update set handled_at = null, received_at = p_now, tries = 1, last_error = null
$$;
comment on function gateway.requeue_event is 'Has the sweep of payments look at Stripe for what is hinted at, as if an event had just come.';

create function gateway.requeue_mail(p_id uuid, p_now timestamptz) returns boolean
language plpgsql
as $$
begin
    -- As new, so that it is not given up for its age: Resend has forgotten its Idempotency-Key by now, and whoever has it
    -- sent once more has looked.
    update gateway.outbox
       set state = 'waiting', ended_at = null, tries = 0, refusals = 0, first_tried_at = null, due_at = p_now, created_at = p_now
     where id = p_id and state = 'dead';
    return found;
end $$;

create function gateway.requeue(p_letter gateway.dead_letters, p_now timestamptz) returns boolean
language plpgsql
as $$
begin
    case p_letter.kind
        when 'mail' then
            return gateway.requeue_mail(p_letter.subject::uuid, p_now);
        when 'payment' then
            perform gateway.requeue_event('retry_payment_' || p_letter.subject, 'retry', array['payment:' || p_letter.subject], p_now);
        when 'subscription' then
            perform gateway.requeue_event('retry_subscription_' || split_part(p_letter.subject, ':', 1), 'retry',
                                          array['subscription:' || split_part(p_letter.subject, ':', 1)], p_now);
        when 'stripe_event' then
            perform gateway.requeue_event(p_letter.subject, p_letter.payload ->> 'type',
                                          array(select jsonb_array_elements_text(p_letter.payload -> 'hints')), p_now);
        else
            -- A late settlement stands in Redis: our server puts it there.
            null;
    end case;
    return true;
end $$;

create function api.retry_dead_letter(p_admin jsonb, p_letter_id bigint, p_receipt jsonb default null) returns jsonb
language plpgsql security definer set search_path = '' set lock_timeout = '4s'
as $$
declare
    v        record;
    v_answer jsonb;
    v_letter gateway.dead_letters;
begin
    select * into v from gateway.enter_admin_to_change(p_admin);
    v_answer := coalesce(v.refusal, gateway.admin_replay(v.admin, p_receipt));
    if v_answer is not null then
        return v_answer;
    end if;
    select * into v_letter from gateway.dead_letters where id = p_letter_id for update;
    if not found then
        return gateway.refusal(404, 'dead_letter_not_found') || gateway.policy_of_admin(v.admin);
    elsif v_letter.resolved_at is not null then
        return gateway.refusal(409, 'dead_letter_resolved') || gateway.policy_of_admin(v.admin);
    elsif v_letter.kind = 'late_settlement' and not v_letter.payload ? 'generation_id' or not gateway.requeue(v_letter, v.at) then
        return gateway.refusal(409, 'dead_letter_stays') || gateway.policy_of_admin(v.admin);
    end if;
    -- What fails again stands open again, under its number.
    update gateway.dead_letters set resolved_at = v.at where id = p_letter_id returning * into v_letter;
    perform gateway.write_admin_event(v.admin, null, 'dead_letter_retried', p_letter_id::text,
                                      jsonb_build_object('kind', v_letter.kind, 'subject', v_letter.subject));
    return gateway.admin_answer(v.admin, 'dead_letter', jsonb_build_object('letter', gateway.letter_view(v_letter)), p_receipt);
end $$;
comment on function api.retry_dead_letter is
    'Has what was given up tried once more by its own job, and takes it for resolved; it stands open again where it fails again. A late settlement has to be put on its list by whoever calls.';
