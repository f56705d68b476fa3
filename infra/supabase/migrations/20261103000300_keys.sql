-- Keys as their owners make and see them, and what nobody may give or take that he has not.

alter table gateway.api_keys
    add column rotate_every_days int check (rotate_every_days between 7 and 365),
    add column rotates_at timestamptz,
    add column pending_secret text,
    add column pending_secret_id bytea check (length(pending_secret_id) = 4),
    add constraint rotation_has_its_date check ((rotate_every_days is null) = (rotates_at is null)),
    add constraint pending_secret_has_its_name check ((pending_secret is null) = (pending_secret_id is null));
comment on column gateway.api_keys.rotates_at is 'When the key next gets a new secret by itself; null where it does not.';
comment on column gateway.api_keys.pending_secret is
    'The secret that a rotation by schedule made, sealed, until its owner collects it; pending_secret_id names the secret of ours it is sealed under.';
create index api_keys_due on gateway.api_keys (rotates_at) where rotates_at is not null;
create index api_keys_by_account on gateway.api_keys (account_id, id);

create function gateway.max_keys() returns int
language sql immutable
as $$ select 500 $$;
comment on function gateway.max_keys is 'How many live keys an account may have: more than anyone needs, few enough to list and to change.';

create function gateway.max_old_secrets() returns int
language sql immutable
as $$ select 5 $$;
comment on function gateway.max_old_secrets is 'How many replaced secrets of a key may still work at a time.';

create function gateway.environment_rank(p_environment text) returns int
language sql immutable
as $$ select case p_environment when 'live' then 3 when 'test' then 1 else 2 end $$;
comment on function gateway.environment_rank is 'By what a key of the environment may spend: live most, staging and development less, test nothing.';

create function gateway.key_view(p_key gateway.api_keys) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'id', p_key.id, 'kind', p_key.kind, 'name', p_key.name, 'environment', p_key.environment, 'masked', p_key.masked,
        'is_active', p_key.is_active, 'scopes', p_key.scopes, 'created_at', p_key.created_at,
        'expires_at', p_key.expires_at, 'last_used_at', p_key.last_used_at,
        'max_requests', p_key.max_requests, 'requests_used', p_key.requests_used,
        'spend_limit_nanos', p_key.spend_limit_nanos, 'spend_limit_period', p_key.spend_limit_period,
        'spent_nanos', case when p_key.spent_since >= period.starts_at then p_key.spent_nanos else 0 end,
        'held_nanos', case when p_key.spend_limit_nanos is null then 0 else gateway.live_held_by_key(p_key.account_id, p_key.id) end,
        'spend_resets_at', case when p_key.spend_limit_period <> 'total' then
            ((period.starts_at at time zone 'UTC') + ('1 ' || p_key.spend_limit_period)::interval) at time zone 'UTC' end,
        'ip_allowlist', (select jsonb_agg(case when masklen(network) = case family(network) when 4 then 32 else 128 end
                                               then host(network) else text(network) end order by position)
                           from unnest(p_key.ip_allowlist) with ordinality as allowed (network, position)),
        'allowed_domains', p_key.allowed_domains, 'model_globs', p_key.model_globs,
        'requests_per_minute', p_key.requests_per_minute, 'tokens_per_minute', p_key.tokens_per_minute,
        'concurrency', p_key.concurrency,
        'rotate_every_days', p_key.rotate_every_days, 'rotates_at', p_key.rotates_at,
        'has_new_secret', p_key.pending_secret is not null,
        'old_secrets_until', (select max(secret.expires_at) from gateway.key_secrets as secret
                               where secret.key_id = p_key.id and secret.expires_at > now.at))
      from (select gateway.clock() as at) as now,
           lateral (select gateway.period_start(p_key.spend_limit_period, now.at) as starts_at) as period
$$;
comment on function gateway.key_view is 'A key as its owner may see it, with what its period has spent; never a secret, and never what one is found by.';

create function gateway.escalation(p_actor gateway.api_keys, p_caller jsonb, p_environment text, p_scopes text[]) returns jsonb
language plpgsql
as $$
declare
    v_exceeds jsonb;
begin
    if gateway.environment_rank(p_environment) > gateway.environment_rank(p_actor.environment) then
        v_exceeds := jsonb_build_object('environment', p_environment);
    else
        select jsonb_build_object('scope', min(scope)) into v_exceeds
          from unnest(p_scopes) as scope where scope <> all (p_actor.scopes) having count(*) > 0;
    end if;
    if v_exceeds is null then
        return null;
    end if;
    perform gateway.note_refusal(p_actor, 'key_exceeds_yours', gateway.read_caller(p_caller));
    return gateway.refusal(403, 'key_exceeds_yours', v_exceeds);
end $$;
comment on function gateway.escalation is
    'May the one who calls do this to a key of that environment, or give it these scopes? Null is yes. Scopes and environment alone: addresses, domains, models and limits are not inherited, so that a key that is bound to one address can make keys for others.';

create function gateway.enter_to_change(
    p_caller jsonb, p_key_id bigint, p_may_be_suspended boolean default false,
    out key gateway.api_keys, out named gateway.api_keys, out refusal jsonb
)
language plpgsql
as $$
declare
    v record;
begin
    select * into v
      from gateway.enter_locked(p_caller, p_takes_account => true, p_takes_wallet => false, p_may_be_suspended => p_may_be_suspended);
    key := v.key;
    refusal := v.refusal;
    if refusal is not null or p_key_id is null then
        return;
    end if;
    perform from gateway.key_secrets as secret
     where secret.key_id = (select id from gateway.api_keys where id = p_key_id and account_id = (key).account_id) for update;
    -- What a settlement adds to the key waits, and is added after.
    select * into named from gateway.api_keys
     where id = p_key_id and account_id = (key).account_id and kind = 'secret' and revoked_at is null
       for no key update;
    if not found then
        refusal := gateway.refusal(404, 'key_not_found') || jsonb_build_object('policy', gateway.limits_policy((key).id));
    end if;
end $$;
comment on function gateway.enter_to_change is
    'The door for whoever changes keys, so that two changes run one after the other, each by a caller who may still make it: the account, then the caller, then the named key''s secrets and the key. Without an id no key is named. Another account''s key answers like one that never was.';

create function gateway.write_key_event(p_caller jsonb, p_actor gateway.api_keys, p_event text, p_key_id bigint, p_details jsonb) returns void
language sql
as $$
    -- No name, no address list: this row stays when the account and what it tells of a person are erased.
    select gateway.write_audit(p_actor.account_id, case p_actor.kind when 'session' then 'user' else 'key' end, p_actor.id,
                               p_event, p_key_id::text, p_details, gateway.read_caller(p_caller))
$$;

create function gateway.policy_of(p_key gateway.api_keys) returns jsonb
language sql stable
as $$ select jsonb_build_object('policy', gateway.limits_policy(p_key.id)) $$;

create function gateway.has_secret(p_key_id bigint, p_secret_id bigint) returns boolean
language sql stable
as $$
    select exists (
        select from gateway.key_secrets as secret join gateway.api_keys as key on key.id = secret.key_id
         where secret.id = p_secret_id and key.id = p_key_id and key.revoked_at is null
           and (secret.expires_at is null or secret.expires_at > gateway.clock()))
$$;

create function gateway.replayed_key(p_actor gateway.api_keys, p_caller jsonb, p_receipt jsonb) returns jsonb
language plpgsql
as $$
declare
    v_found   jsonb := gateway.find_receipt(p_actor.account_id, p_receipt);
    v_key     gateway.api_keys;
    v_refusal jsonb;
begin
    if v_found is null or not v_found ? 'result' then
        return v_found;
    end if;
    -- Whoever asks again need not be who asked first, and the key may do more by now than it did.
    select * into strict v_key from gateway.api_keys where id = (v_found #>> '{result,key,id}')::bigint;
    v_refusal := gateway.escalation(p_actor, p_caller, v_key.environment, v_key.scopes);
    if v_refusal is not null then
        return v_refusal;
    end if;
    if not gateway.has_secret(v_key.id, (v_found #>> '{result,secret_id}')::bigint) then
        v_found := v_found || '{"sealed": null}';
    end if;
    return (v_found -> 'result') - 'secret_id' || (v_found - 'result');
end $$;
comment on function gateway.replayed_key is
    'What a receipt answers in the place of a second key or a second rotation, or its refusal; null where there is none. The secret is shown again to whoever could take the key over, and while it works.';

create function gateway.keep_key_receipt(p_account_id bigint, p_receipt jsonb, p_answer jsonb, p_secret_id bigint) returns void
language sql
as $$ select gateway.keep_receipt(p_account_id, p_receipt, p_answer || jsonb_build_object('secret_id', p_secret_id)) $$;

create function api.create_key(p_caller jsonb, p_key jsonb, p_secret jsonb, p_receipt jsonb) returns jsonb
language plpgsql security definer set search_path = '' set lock_timeout = '4s'
as $$
declare
    v           record;
    v_asked     gateway.api_keys := jsonb_populate_record(null::gateway.api_keys, p_key);
    v_key       gateway.api_keys;
    v_now       timestamptz;
    v_answer    jsonb;
    v_secret_id bigint;
begin
    select * into v from gateway.enter_to_change(p_caller, null);
    if v.refusal is not null then
        return v.refusal;
    end if;
    v_answer := coalesce(gateway.escalation(v.key, p_caller, v_asked.environment, v_asked.scopes),
                         gateway.replayed_key(v.key, p_caller, p_receipt));
    if v_answer is not null then
        return v_answer || gateway.policy_of(v.key);
    end if;
    if (select count(*) from gateway.api_keys as live
         where live.account_id = (v.key).account_id and live.kind = 'secret' and live.revoked_at is null) >= gateway.max_keys() then
        return gateway.refusal(409, 'too_many_keys', jsonb_build_object('limit', gateway.max_keys())) || gateway.policy_of(v.key);
    end if;
    v_now := gateway.clock();
    insert into gateway.api_keys (
        account_id, name, environment, masked, scopes, expires_at, max_requests, spend_limit_nanos, spend_limit_period,
        ip_allowlist, allowed_domains, model_globs, requests_per_minute, tokens_per_minute, concurrency,
        rotate_every_days, rotates_at, created_at)
    values ((v.key).account_id, v_asked.name, v_asked.environment, p_secret ->> 'masked', v_asked.scopes,
            v_now + make_interval(days => (p_key ->> 'expires_in_days')::int), v_asked.max_requests,
            v_asked.spend_limit_nanos, coalesce(v_asked.spend_limit_period, 'total'),
            v_asked.ip_allowlist, v_asked.allowed_domains, v_asked.model_globs,
            v_asked.requests_per_minute, v_asked.tokens_per_minute, v_asked.concurrency,
            v_asked.rotate_every_days, v_now + make_interval(days => v_asked.rotate_every_days), v_now)
    on conflict (account_id, name) where kind = 'secret' and revoked_at is null do nothing
    returning * into v_key;
    if not found then
        return gateway.refusal(409, 'key_name_taken') || gateway.policy_of(v.key);
    end if;
    insert into gateway.key_secrets (key_hmac, key_id, created_at) values (decode(p_secret ->> 'key_hmac', 'hex'), v_key.id, v_now)
    returning id into v_secret_id;
    perform gateway.write_key_event(p_caller, v.key, 'key_created', v_key.id,
                                    jsonb_build_object('environment', v_key.environment, 'scopes', v_key.scopes));
    v_answer := jsonb_build_object('verdict', 'key', 'key', gateway.key_view(v_key));
    perform gateway.keep_key_receipt((v.key).account_id, p_receipt, v_answer, v_secret_id);
    return v_answer || gateway.policy_of(v.key);
end $$;
comment on function api.create_key is
    'Makes a key of the caller''s account, with no scope and no environment beyond the caller''s own. p_secret: {key_hmac, masked} of a secret that only its maker has.';

create function api.list_keys(p_caller jsonb, p_limit int, p_after bigint default null) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v      record;
    v_keys jsonb;
begin
    select * into v from gateway.enter(p_caller);
    if v.refusal is not null then
        return v.refusal;
    end if;
    select coalesce(jsonb_agg(gateway.key_view(page) order by page.id), '[]') into v_keys
      from (select * from gateway.api_keys
             where account_id = (v.key).account_id and kind = 'secret' and revoked_at is null and id > coalesce(p_after, 0)
             order by id limit p_limit) as page;
    return jsonb_build_object('verdict', 'keys', 'keys', v_keys) || gateway.policy_of(v.key);
end $$;
comment on function api.list_keys is 'The account''s live keys, oldest first, those after an id.';

create function api.read_key(p_caller jsonb, p_key_id bigint) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v     record;
    v_key gateway.api_keys;
begin
    select * into v from gateway.enter(p_caller);
    if v.refusal is not null then
        return v.refusal;
    end if;
    -- Without an id it is the key in use, of whatever kind.
    select * into v_key from gateway.api_keys
     where id = coalesce(p_key_id, (v.key).id) and account_id = (v.key).account_id and revoked_at is null
       and (kind = 'secret' or p_key_id is null);
    return case when v_key.id is null then gateway.refusal(404, 'key_not_found')
                else jsonb_build_object('verdict', 'key', 'key', gateway.key_view(v_key)) end
        || gateway.policy_of(v.key);
end $$;
comment on function api.read_key is 'One live key of the account; the one in use where none is named.';
