-- What keys have used, who did what to them, their rotation by schedule, and which secret of ours they stand under.

create function api.read_key_usage(p_caller jsonb, p_days int, p_limit int, p_after bigint default null) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v        record;
    v_today  date := (gateway.clock() at time zone 'UTC')::date;
    v_since  date := v_today - (p_days - 1);
    v_usages jsonb;
begin
    select * into v from gateway.enter(p_caller);
    if v.refusal is not null then
        return v.refusal;
    end if;
    with page as (
        select key.id, gateway.key_view(key) as view from gateway.api_keys as key
         where key.account_id = (v.key).account_id and key.kind = 'secret' and key.revoked_at is null and key.id > coalesce(p_after, 0)
         order by key.id limit p_limit
    ), used as (
        -- The days and their sums come with the activity, in a later file.
        select usage.key_id, sum(usage.requests)::bigint as requests, sum(usage.charged_nanos)::bigint as spent_nanos,
               sum(usage.input_tokens)::bigint as input_tokens, sum(usage.cached_input_tokens)::bigint as cached_input_tokens,
               sum(usage.cache_write_tokens)::bigint as cache_write_tokens, sum(usage.output_tokens)::bigint as output_tokens
          from gateway.usage_between((v.key).account_id, v_since, v_today + 1) as usage
         group by usage.key_id
    )
    select coalesce(jsonb_agg(jsonb_build_object(
               'key', page.view, 'requests', coalesce(used.requests, 0), 'spent_nanos', coalesce(used.spent_nanos, 0),
               'input_tokens', coalesce(used.input_tokens, 0), 'cached_input_tokens', coalesce(used.cached_input_tokens, 0),
               'cache_write_tokens', coalesce(used.cache_write_tokens, 0), 'output_tokens', coalesce(used.output_tokens, 0))
               order by page.id), '[]') into v_usages
      from page left join used on used.key_id = page.id;
    return jsonb_build_object('verdict', 'key_usages', 'since', v_since, 'usages', v_usages) || gateway.policy_of(v.key);
end $$;
comment on function api.read_key_usage is 'What each live key of the account was charged for in the last days (UTC), today''s included, with what is left to it.';

create function api.list_key_events(p_caller jsonb, p_limit int, p_before bigint default null, p_key_id bigint default null) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v        record;
    v_events jsonb;
begin
    select * into v from gateway.enter(p_caller);
    if v.refusal is not null then
        return v.refusal;
    end if;
    select coalesce(jsonb_agg(jsonb_build_object(
               'id', event.id, 'event', event.event, 'key_id', named.id, 'key_name', named.name, 'actor', event.actor,
               'actor_key_id', case when event.actor = 'key' then event.key_id end, 'details', event.details,
               'address', host(event.address), 'request_id', event.request_id, 'created_at', event.created_at)
               order by event.id desc), '[]') into v_events
      from (select * from gateway.audit_log
             where account_id = (v.key).account_id and event like 'key\_%'
               and id < coalesce(p_before, 9223372036854775807) and (p_key_id is null or subject = p_key_id::text)
             order by id desc limit p_limit) as event
      left join gateway.api_keys as named on named.id = case when event.subject ~ '^[0-9]{1,18}$' then event.subject::bigint end and named.account_id = event.account_id;
    return jsonb_build_object('verdict', 'key_events', 'events', v_events) || gateway.policy_of(v.key);
end $$;
comment on function api.list_key_events is 'Who did what to which key of the account, from where; newest first, those before an id.';

create function api.due_rotations(p_limit int default 100) returns jsonb
language sql security definer set search_path = ''
as $$
    select coalesce(jsonb_agg(jsonb_build_object('key_id', due.id, 'environment', due.environment, 'rotates_at', due.rotates_at)
                              order by due.rotates_at), '[]')
      from (select id, environment, rotates_at from gateway.api_keys
             where rotates_at <= gateway.clock() and is_active and pending_secret is null and (expires_at is null or expires_at > gateway.clock())
             order by rotates_at limit p_limit) as due
$$;
comment on function api.due_rotations is 'Keys whose time for a new secret has come. One that is switched off or over gets none, and one whose last is not collected no other: it stays due.';

create function api.rotate_due_key(p_key_id bigint, p_due_at timestamptz, p_secret jsonb, p_overlap_hours int) returns jsonb
language plpgsql security definer set search_path = '' set lock_timeout = '4s'
as $$
declare
    v_key gateway.api_keys;
    v_now timestamptz;
begin
    perform from gateway.accounts where id = (select account_id from gateway.api_keys where id = p_key_id) for no key update;
    perform from gateway.key_secrets where key_id = p_key_id for update;
    select * into v_key from gateway.api_keys where id = p_key_id for no key update;
    v_now := gateway.clock();
    if exists (select from gateway.key_secrets where key_hmac = decode(p_secret ->> 'key_hmac', 'hex') and key_id = p_key_id) then
        -- It was done, and the answer was lost.
        return jsonb_build_object('verdict', 'rotated');
    end if;
    -- Somebody else was here since it was found to be due: another run of the job, or the key's owner.
    if v_key.rotates_at is distinct from p_due_at or v_key.rotates_at > v_now or not v_key.is_active or v_key.pending_secret is not null then
        return jsonb_build_object('verdict', 'unchanged');
    end if;
    v_key := gateway.replace_secret(v_key, p_secret, v_now + make_interval(hours => p_overlap_hours), v_now);
    perform gateway.write_audit(v_key.account_id, 'system', null, 'key_rotated', v_key.id::text,
                                jsonb_build_object('overlap_hours', p_overlap_hours, 'is_by_schedule', true), null::gateway.caller);
    return jsonb_build_object('verdict', 'rotated');
end $$;
comment on function api.rotate_due_key is
    'Gives a key that is due the new secret, which waits sealed to be collected. Once for each time that it is due, however often it is asked for.';

create function api.count_key_secrets() returns jsonb
language plpgsql security definer set search_path = ''
as $$
begin
    return (
        with live as (
            select encode(substr(secret.key_hmac, 1, 4), 'hex') as secret_id, key.kind
              from gateway.key_secrets as secret
              join gateway.api_keys as key on key.id = secret.key_id
             -- A key that is switched off or over may be made to work again.
             where key.revoked_at is null
               and (secret.expires_at is null or secret.expires_at > gateway.clock())
            union all
            select encode(pending_secret_id, 'hex'), 'pending' from gateway.api_keys where pending_secret_id is not null
            union all
            select encode(substr(person_hmac, 1, 4), 'hex'), 'person' from gateway.remembered_people
        ), counted as (
            select secret_id,
                   count(*) filter (where kind = 'secret') as keys, count(*) filter (where kind = 'session') as sessions,
                   count(*) filter (where kind = 'pending') as pending, count(*) filter (where kind = 'person') as people
              from live group by secret_id
        )
        select coalesce(jsonb_agg(to_jsonb(counted) order by secret_id), '[]') from counted);
end $$;
comment on function api.count_key_secrets is
    'What stands under each secret of SECRET_KEY''s list, by the secret''s name: live keys, sign-ins, secrets to be collected, and people remembered for the one trial.';
