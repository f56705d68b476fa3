-- Who calls: a key is found by any of its secrets' HMACs, and every function of api that acts for someone enters through one door.
--
-- Locks are taken in one order, here and in every file after this, so that no two calls wait for each other:
-- the account, its wallet, the keys' secrets, the keys; after these what hangs on them (claims, counts, receipts).
-- Entering moves a secret, so whoever takes an account or a wallet takes it first and then enters: gateway.enter_locked.

alter table gateway.api_keys
    add column kind text not null default 'secret' check (kind in ('secret', 'session')),
    add column revoked_at timestamptz,
    drop constraint api_keys_account_id_name_key;
comment on column gateway.api_keys.kind is
    'session: stands for a person who signed in; found by the HMAC of who he is, shown and changed nowhere.';
comment on column gateway.api_keys.revoked_at is 'A revoked key has no secret any more. Its row stays for the ledger, its name is free again.';
create unique index api_keys_by_name on gateway.api_keys (account_id, name) where kind = 'secret' and revoked_at is null;
create unique index api_keys_of_sessions on gateway.api_keys (account_id) where kind = 'session';

create table gateway.key_secrets (
    id         bigint not null generated always as identity,
    key_hmac   bytea primary key check (length(key_hmac) = 32),
    key_id     bigint not null references gateway.api_keys,
    expires_at timestamptz,
    created_at timestamptz not null default now()
);
comment on table gateway.key_secrets is
    'The HMACs that a key is found by. A key that was rotated has its old one until expires_at; a revoked key has none. The first four bytes name the secret of ours that it stands under.';
comment on column gateway.key_secrets.id is 'The secret''s own name, which stays when its HMAC moves.';
create index key_secrets_by_key on gateway.key_secrets (key_id);
create index key_secrets_by_expiry on gateway.key_secrets (expires_at) where expires_at is not null;
alter table gateway.key_secrets enable row level security;

-- Not copied: an HMAC of before does not begin with its secret's name, so nothing would ever look for it. No release had one;
-- a key made before is made anew under its name, and keeps its id.
alter table gateway.api_keys drop column key_hmac;
comment on table gateway.api_keys is
    'What may be done with a key. Its secret is nowhere. Null lists and limits mean: no restriction beyond the plan''s.';

create type gateway.caller as (key_hmacs bytea[], scope text, address inet, origin_host text, request_id text);
comment on type gateway.caller is
    'Who calls, from where, and what the route asks for. key_hmacs has one entry per secret of ours, newest first; scope is null where any key will do.';

create function gateway.read_caller(p_caller jsonb) returns gateway.caller
language plpgsql immutable
as $$
declare
    v_caller gateway.caller;
begin
    -- A caller without HMACs would be found by nothing; one without its scope would be held to none.
    if (jsonb_array_length(p_caller -> 'key_hmacs') > 0 and p_caller ? 'scope') is not true then
        raise exception 'a caller has its HMACs and the scope that its route asks for' using errcode = 'invalid_parameter_value';
    end if;
    v_caller.key_hmacs := array(select decode(hmac, 'hex') from jsonb_array_elements_text(p_caller -> 'key_hmacs')
                                       with ordinality as given (hmac, position) order by position);
    if array_position(v_caller.key_hmacs, null) is not null or 32 <> any (select length(hmac) from unnest(v_caller.key_hmacs) as hmac) then
        raise exception 'an HMAC has 32 bytes' using errcode = 'invalid_parameter_value';
    end if;
    v_caller.scope := p_caller ->> 'scope';
    v_caller.address := gateway.read_address(p_caller ->> 'address');
    v_caller.origin_host := p_caller ->> 'origin_host';
    v_caller.request_id := p_caller ->> 'request_id';
    return v_caller;
end $$;

create or replace function gateway.limits_policy(p_key_id bigint) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'account_id', key.account_id, 'key_id', key.id,
        'account', jsonb_build_object('requests_per_minute', plan.requests_per_minute, 'tokens_per_minute', plan.tokens_per_minute,
                                      'concurrency', plan.concurrency),
        'key', jsonb_build_object('requests_per_minute', coalesce(key.requests_per_minute, 0),
                                  'tokens_per_minute', coalesce(key.tokens_per_minute, 0),
                                  'concurrency', coalesce(key.concurrency, 0)))
      from gateway.api_keys as key
      join gateway.accounts as account on account.id = key.account_id
      join gateway.plans as plan on plan.id = account.plan_id
     where key.id = p_key_id
$$;
comment on function gateway.limits_policy is
    'What the limiter holds a key and its account to in a minute; it counts by key_id, since a key may have several secrets.';

create function gateway.find_key(p_caller gateway.caller, p_now timestamptz)
returns table (key gateway.api_keys, key_hmac bytea)
language sql stable
as $$
    -- One statement for all: unknown, revoked, expired and rotated away are found by nothing, and take as long.
    select found, secret.key_hmac
      from gateway.key_secrets as secret join gateway.api_keys as found on found.id = secret.key_id
     where secret.key_hmac = any (p_caller.key_hmacs)
       and (secret.expires_at is null or secret.expires_at > p_now)
       and found.is_active and found.revoked_at is null and (found.expires_at is null or found.expires_at > p_now)
     limit 1
$$;
comment on function gateway.find_key is 'The key that may be used now under one of these HMACs, and which of them it was.';

create function gateway.move_secret(p_key_hmac bytea, p_newest bytea) returns void
language sql
as $$
    -- One that waits here while it holds a wallet, and one that waits for that wallet while it has this row, would wait for
    -- each other; whoever comes next moves it.
    update gateway.key_secrets set key_hmac = p_newest
     where key_hmac = (select key_hmac from gateway.key_secrets where key_hmac = p_key_hmac for update skip locked)
       and not exists (select from gateway.key_secrets where key_hmac = p_newest)
$$;
comment on function gateway.move_secret is 'Moves a key that was found by an older secret of ours to the newest, so that the older one can be retired.';

drop function gateway.key_refusal(gateway.api_keys, text, text[], inet, text, timestamptz);
create function gateway.caller_refusal(p_key gateway.api_keys, p_caller gateway.caller) returns jsonb
language plpgsql stable
as $$
declare
    v_status text;
begin
    select status into strict v_status from gateway.accounts where id = p_key.account_id;
    if v_status = 'deleted' then
        return gateway.refusal(401, 'invalid_api_key');
    end if;
    if p_key.ip_allowlist is not null and (p_caller.address <<= any (p_key.ip_allowlist)) is not true then
        return gateway.refusal(403, 'address_not_allowed');
    end if;
    if p_key.allowed_domains is not null
       and (p_caller.origin_host is null or not gateway.matches_domain(p_caller.origin_host, p_key.allowed_domains)) then
        return gateway.refusal(403, 'domain_not_allowed');
    end if;
    if p_caller.scope is not null and not p_caller.scope = any (p_key.scopes) then
        return gateway.refusal(403, 'missing_scope', jsonb_build_object('scope', p_caller.scope));
    end if;
    -- Last, since some calls pass over it and over nothing else. Who is suspended may still look, and pay what he owes.
    if v_status <> 'active' and not (p_caller.scope is null or p_caller.scope like '%:read' or p_caller.scope = 'billing:write') then
        return gateway.refusal(403, 'account_suspended');
    end if;
    return null;
end $$;
comment on function gateway.caller_refusal is 'May this key be used here, for this? Null is yes.';

create function gateway.request_refusal(p_key gateway.api_keys, p_models text[]) returns jsonb
language plpgsql stable
as $$
declare
    v_model text;
begin
    if p_key.model_globs is not null then
        select model into v_model from unnest(p_models) as model where not gateway.matches_glob(model, p_key.model_globs) limit 1;
        if found then
            return gateway.refusal(403, 'model_not_allowed', jsonb_build_object('model', v_model));
        end if;
    end if;
    if p_key.max_requests is not null and p_key.requests_used >= p_key.max_requests then
        return gateway.refusal(429, 'key_requests_exhausted', jsonb_build_object('limit', p_key.max_requests));
    end if;
    return null;
end $$;
comment on function gateway.request_refusal is 'May this key have an answer from these models? Null is yes.';

create function gateway.enter(
    p_caller jsonb, p_account_id bigint default null, p_may_be_suspended boolean default false,
    out key gateway.api_keys, out refusal jsonb
)
language plpgsql
as $$
declare
    v_caller gateway.caller := gateway.read_caller(p_caller);
    v_now    timestamptz := gateway.clock();
    v_found  record;
begin
    select * into v_found from gateway.find_key(v_caller, v_now);
    key := v_found.key;
    -- Who was deleted and has signed in again is found by the same HMAC, in an account that is not locked.
    if key.id is null or key.account_id <> p_account_id then
        key := null;
        refusal := gateway.refusal(401, 'invalid_api_key');
        return;
    end if;
    refusal := gateway.caller_refusal(key, v_caller);
    if refusal ->> 'code' = 'invalid_api_key' then
        key := null;
        return;
    end if;
    if p_may_be_suspended and refusal ->> 'code' = 'account_suspended' then
        refusal := null;
    end if;
    if v_found.key_hmac <> v_caller.key_hmacs[1] then
        perform gateway.move_secret(v_found.key_hmac, v_caller.key_hmacs[1]);
    end if;
    if refusal is not null then
        -- It comes with the audit log, in a later file.
        perform gateway.note_refusal(key, refusal ->> 'code', v_caller);
        refusal := refusal || jsonb_build_object('policy', gateway.limits_policy(key.id));
    end if;
end $$;
comment on function gateway.enter is
    'The door: the key that calls, or why it may not, with its limits where the key is known. Counts nothing; what follows it is the route''s. p_account_id: the account that is locked, and must be the key''s.';

create function gateway.enter_locked(
    p_caller jsonb, p_takes_account boolean, p_takes_wallet boolean, p_may_be_suspended boolean default false,
    out key gateway.api_keys, out refusal jsonb, out at timestamptz
)
language plpgsql
as $$
declare
    v            record;
    v_account_id bigint;
begin
    select (found.key).account_id into v_account_id from gateway.find_key(gateway.read_caller(p_caller), gateway.clock()) as found;
    if not found then
        refusal := gateway.refusal(401, 'invalid_api_key');
        return;
    end if;
    if p_takes_account then
        perform from gateway.accounts where id = v_account_id for no key update;
    end if;
    if p_takes_wallet then
        perform gateway.lock_wallet(v_account_id);
    end if;
    at := gateway.clock();
    -- What it was before the wait is no longer so: the account may be gone, and the key that asks.
    select * into v from gateway.enter(p_caller, v_account_id, p_may_be_suspended);
    key := v.key;
    refusal := v.refusal;
end $$;
comment on function gateway.enter_locked is
    'The door for whoever changes what is the account''s: locks it, or its wallet, or both in this order, and only then enters. at: the time after the wait.';

create function api.read_policy(p_caller jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v record;
begin
    -- Suspended or not is for the question that follows this one.
    select * into v from gateway.enter(p_caller, p_may_be_suspended => true);
    return coalesce(v.refusal, jsonb_build_object('verdict', 'policy', 'policy', gateway.limits_policy((v.key).id)));
end $$;
comment on function api.read_policy is 'What a key is held to in a minute, for a request that has to be counted before it changes anything.';

create or replace function api.create_api_key(
    p_account_id bigint, p_name text, p_environment text, p_key_hmac text, p_masked text
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v_hmac   bytea := decode(p_key_hmac, 'hex');
    v_key_id bigint;
    v_owner  bigint;
begin
    perform from gateway.accounts where id = p_account_id for no key update;
    select key.id, key.account_id into v_key_id, v_owner
      from gateway.key_secrets as secret join gateway.api_keys as key on key.id = secret.key_id
     where secret.key_hmac = v_hmac;
    if v_owner <> p_account_id then
        return null;
    end if;
    if v_key_id is not null then
        update gateway.api_keys set name = p_name where id = v_key_id;
        return jsonb_build_object('key_id', v_key_id);
    end if;
    delete from gateway.key_secrets
     where key_id = (select id from gateway.api_keys
                      where account_id = p_account_id and name = p_name and kind = 'secret' and revoked_at is null);
    insert into gateway.api_keys (account_id, name, environment, masked)
    values (p_account_id, p_name, p_environment, p_masked)
    on conflict (account_id, name) where kind = 'secret' and revoked_at is null do update set masked = excluded.masked
    returning id into v_key_id;
    insert into gateway.key_secrets (key_hmac, key_id) values (v_hmac, v_key_id);
    return jsonb_build_object('key_id', v_key_id);
end $$;
comment on function api.create_api_key is
    'Registers a key by its HMAC (hex), for whoever sets a store up. Repeating it for the same account answers the same key, for another account null; the account''s key of the same name has this secret from then on.';

create function gateway.user_scopes() returns text[]
language sql immutable
as $$
    select '{inference,models:read,account:read,account:write,keys:read,keys:write,billing:read,billing:write,history:read,history:write}'::text[]
$$;
comment on function gateway.user_scopes is 'All that a person may do with what is his; source: USER_SCOPES in shared/core/scopes.py.';

create function gateway.open_session(p_account_id bigint, p_session_hmacs text[]) returns bigint
language plpgsql
as $$
declare
    v_hmacs  bytea[] := array(select decode(hmac, 'hex') from unnest(p_session_hmacs) with ordinality as given (hmac, position) order by position);
    v_key_id bigint;
begin
    perform from gateway.accounts where id = p_account_id for no key update;
    select id into v_key_id from gateway.api_keys where account_id = p_account_id and kind = 'session';
    if not found then
        insert into gateway.api_keys (account_id, kind, name, environment, masked, scopes)
        values (p_account_id, 'session', 'session', 'live', 'session', gateway.user_scopes())
        returning id into v_key_id;
    end if;
    insert into gateway.key_secrets (key_hmac, key_id)
    select v_hmacs[1], v_key_id
     where not exists (select from gateway.key_secrets where key_hmac = any (v_hmacs) and key_id = v_key_id);
    return v_key_id;
end $$;
comment on function gateway.open_session is
    'The hidden key by which someone who is signed in acts for his account; made once, and once more where its secret is gone.';

create function gateway.key_fingerprints(p_key_ids bigint[]) returns text[]
language sql stable
as $$
    select coalesce(array_agg(encode(key_hmac, 'hex') order by key_hmac), '{}') from gateway.key_secrets where key_id = any (p_key_ids)
$$;
comment on function gateway.key_fingerprints is 'What the limiter knows these keys by.';
