-- Who operates the gateway: whoever has ADMIN_API_KEY, and people whose role is admin. What they change is written down, and
-- made once.
--
-- Admins change what is somebody else's, so they take the locks of others: first the one that all changes of admins have in
-- common, then those of the account in the order of all calls. Nobody else takes the first, and nobody has two accounts locked.

alter table gateway.accounts add column role text not null default 'user' check (role in ('user', 'admin'));
comment on column gateway.accounts.role is 'admin: may use the routes of /admin, signed in or with a live key that has every scope.';
create index accounts_of_admins on gateway.accounts (id) where role = 'admin';
create index audit_log_of_admins on gateway.audit_log (key_id) where actor = 'admin' and key_id is not null;

create type gateway.admin as (key gateway.api_keys, caller gateway.caller);
comment on type gateway.admin is 'Who operates: a person by his key, or whoever has ADMIN_API_KEY, whose key is null.';

create table gateway.admin_receipts (
    actor_id     bigint not null,
    key_hmac     text not null,
    body_hmac    text not null,
    route        text not null,
    result       jsonb not null,
    sealed       text,
    sealed_until timestamptz,
    expires_at   timestamptz not null,
    created_at   timestamptz not null default now(),
    primary key (actor_id, key_hmac),
    check (sealed is null or sealed_until is not null)
);
comment on table gateway.admin_receipts is
    'What a change by an admin answered, for a day, as gateway.receipts has it. actor_id: his account, 0 for whoever has ADMIN_API_KEY.';
create index admin_receipts_by_expiry on gateway.admin_receipts (expires_at);
create index admin_receipts_by_seal on gateway.admin_receipts (sealed_until) where sealed is not null;
alter table gateway.admin_receipts enable row level security;

create or replace function gateway.note_refusal(p_key gateway.api_keys, p_code text, p_caller gateway.caller) returns void
language plpgsql
as $$
declare
    v_event text := case p_code when 'address_not_allowed' then 'address_refused' when 'domain_not_allowed' then 'domain_refused'
                                when 'account_suspended' then 'account_refused' when 'missing_scope' then 'scope_refused'
                                when 'key_exceeds_yours' then 'escalation_refused' when 'admin_required' then 'admin_refused' end;
    v_now   timestamptz := gateway.clock();
    v_hour  timestamptz := date_trunc('hour', v_now, 'UTC');
begin
    -- Looked for first, since a line that meets another one has used up an id.
    if v_event is null
       or exists (select from gateway.audit_log where key_id = p_key.id and event = v_event and hour = v_hour) then
        return;
    end if;
    insert into gateway.audit_log (account_id, actor, key_id, event, details, address, request_id, hour, created_at)
    values (p_key.account_id, case p_key.kind when 'session' then 'user' else 'key' end, p_key.id, v_event,
            jsonb_strip_nulls(jsonb_build_object('scope', p_caller.scope, 'origin_host', left(p_caller.origin_host, 253))),
            p_caller.address, p_caller.request_id, v_hour, v_now)
    on conflict (key_id, event, hour) where hour is not null do nothing;
end $$;

create or replace function gateway.forget_whereabouts(p_account_id bigint) returns void
language sql
as $$
    update gateway.audit_log set address = null, details = details - 'origin_host'
     where account_id = p_account_id and (address is not null or details ? 'origin_host');
    -- What he did to others as an admin stands with them.
    update gateway.audit_log set address = null
     where actor = 'admin' and key_id in (select id from gateway.api_keys where account_id = p_account_id) and address is not null;
    -- What admins were answered has his name in it.
    delete from gateway.admin_receipts where result -> 'user' -> 'id' = to_jsonb(p_account_id)
$$;

create function gateway.is_admin(p_key gateway.api_keys) returns boolean
language sql stable
as $$
    -- A key that was given less than all is not meant for this, whoever its owner is.
    select p_key.environment = 'live' and p_key.scopes @> gateway.user_scopes()
       and exists (select from gateway.accounts where id = p_key.account_id and role = 'admin' and status = 'active')
$$;
comment on function gateway.is_admin is 'Does this key, or this sign-in, operate the gateway?';

create function gateway.is_last_admin(p_account_id bigint) returns boolean
language sql stable
as $$
    select exists (select from gateway.accounts where id = p_account_id and role = 'admin' and status = 'active')
       and not exists (select from gateway.accounts where id <> p_account_id and role = 'admin' and status = 'active')
$$;
comment on function gateway.is_last_admin is 'Would nobody be an admin any more without this one?';

create function gateway.is_operator(p_admin jsonb) returns boolean
language sql immutable
as $$ select coalesce((p_admin ->> 'is_operator')::boolean, false) $$;
comment on function gateway.is_operator is 'Whether our server has seen ADMIN_API_KEY, and asks for nobody''s key.';

create function gateway.enter_admin(p_admin jsonb, out admin gateway.admin, out refusal jsonb)
language plpgsql
as $$
declare
    v record;
begin
    if gateway.is_operator(p_admin) then
        admin.caller := row('{}'::bytea[], null, gateway.read_address(p_admin ->> 'address'), null, p_admin ->> 'request_id');
        return;
    end if;
    select * into v from gateway.enter(p_admin);
    admin := row(v.key, gateway.read_caller(p_admin));
    refusal := v.refusal;
    if refusal is null and not gateway.is_admin(v.key) then
        perform gateway.note_refusal(v.key, 'admin_required', gateway.read_caller(p_admin));
        refusal := gateway.refusal(403, 'admin_required') || gateway.policy_of(v.key);
    end if;
end $$;
comment on function gateway.enter_admin is
    'The door for whoever operates the gateway, or why he may not. p_admin: a gateway.caller without a scope, or {is_operator, address, request_id} where our server has seen ADMIN_API_KEY.';

create function gateway.policy_of_admin(p_admin gateway.admin) returns jsonb
language sql stable
as $$ select jsonb_build_object('policy', gateway.limits_policy((p_admin.key).id)) $$;

create function gateway.enter_admin_to_change(
    p_admin jsonb, p_account_id bigint default null, p_takes_wallet boolean default false,
    out admin gateway.admin, out account gateway.accounts, out refusal jsonb, out at timestamptz
)
language plpgsql
as $$
declare
    v           record;
    v_is_admin  boolean := gateway.is_operator(p_admin);
begin
    if not v_is_admin then
        select gateway.is_admin(found.key) into v_is_admin from gateway.find_key(gateway.read_caller(p_admin), gateway.clock()) as found;
    end if;
    -- Nobody else takes the locks of others.
    if v_is_admin then
        perform pg_advisory_xact_lock(hashtext('gateway.admins'));
        perform from gateway.accounts where id = p_account_id for no key update;
        if p_takes_wallet then
            perform gateway.lock_wallet(p_account_id);
        end if;
    end if;
    at := gateway.clock();
    -- What he was before the wait he need not be any more.
    select * into v from gateway.enter_admin(p_admin);
    admin := v.admin;
    refusal := v.refusal;
    if refusal is null and v_is_admin is not true then
        refusal := gateway.refusal(403, 'admin_required') || gateway.policy_of_admin(admin);
    end if;
    if refusal is null and p_account_id is not null then
        select * into account from gateway.accounts where id = p_account_id;
        if not found then
            refusal := gateway.refusal(404, 'user_not_found') || gateway.policy_of_admin(admin);
        end if;
    end if;
end $$;
comment on function gateway.enter_admin_to_change is
    'The door for whoever changes something as an admin: one after the other, with the account that is meant locked, and its wallet. at: the time after the wait.';

create function gateway.admin_replay(p_admin gateway.admin, p_receipt jsonb) returns jsonb
language plpgsql
as $$
declare
    v_asked gateway.receipt;
    v_found gateway.admin_receipts;
    v_now   timestamptz := gateway.clock();
begin
    if coalesce(p_receipt, 'null') = 'null' then
        return null;
    end if;
    v_asked := gateway.read_receipt(p_receipt);
    select * into v_found from gateway.admin_receipts
     where actor_id = coalesce((p_admin.key).account_id, 0) and key_hmac = any (v_asked.key_hmacs) and expires_at > v_now
     order by created_at desc limit 1;
    if not found then
        return null;
    end if;
    if v_found.body_hmac <> all (v_asked.body_hmacs) or v_found.route <> v_asked.route then
        return gateway.refusal(409, 'idempotency_key_reused') || gateway.policy_of_admin(p_admin);
    end if;
    return v_found.result || gateway.policy_of_admin(p_admin)
        || jsonb_build_object('is_replayed', true, 'sealed', case when v_found.sealed_until > v_now then v_found.sealed end);
end $$;
comment on function gateway.admin_replay is
    'What the same change was answered before, or that its Idempotency-Key was used for something else; null is: new. Under the lock of gateway.enter_admin_to_change.';

create function gateway.admin_answer(p_admin gateway.admin, p_verdict text, p_told jsonb, p_receipt jsonb default null) returns jsonb
language plpgsql
as $$
declare
    v_answer jsonb := p_told || jsonb_build_object('verdict', p_verdict);
    v_asked  gateway.receipt;
    v_actor  bigint := coalesce((p_admin.key).account_id, 0);
    v_now    timestamptz := gateway.clock();
begin
    if coalesce(p_receipt, 'null') <> 'null' then
        v_asked := gateway.read_receipt(p_receipt);
        -- What stands under this key by now has had its time.
        delete from gateway.admin_receipts where actor_id = v_actor and key_hmac = any (v_asked.key_hmacs);
        insert into gateway.admin_receipts (actor_id, key_hmac, body_hmac, route, result, sealed, sealed_until, expires_at, created_at)
        values (v_actor, v_asked.key_hmacs[1], v_asked.body_hmacs[1], v_asked.route, v_answer, v_asked.sealed,
                case when v_asked.sealed is not null then v_now + interval '10 minutes' end, v_now + interval '24 hours', v_now);
    end if;
    return v_answer || gateway.policy_of_admin(p_admin);
end $$;
comment on function gateway.admin_answer is 'What an admin is told, kept for a day where the request has a receipt, with the limits that he is held to: null with ADMIN_API_KEY.';

create function gateway.write_admin_event(p_admin gateway.admin, p_account_id bigint, p_event text, p_subject text, p_details jsonb) returns void
language sql
as $$ select gateway.write_audit(p_account_id, 'admin', (p_admin.key).id, p_event, p_subject, p_details, p_admin.caller) $$;
comment on function gateway.write_admin_event is 'Writes down what an admin did, to whose account, in the transaction that does it.';

alter function gateway.erase_spent(int, timestamptz) rename to erase_spent_answers;
create function gateway.erase_spent(p_limit int, p_now timestamptz) returns int
language plpgsql
as $$
declare
    v_count int;
    v_total int := 0;
begin
    delete from gateway.admin_receipts
     where (actor_id, key_hmac) in (select actor_id, key_hmac from gateway.admin_receipts where expires_at <= p_now
                                     order by expires_at limit p_limit for update skip locked);
    get diagnostics v_total = row_count;
    update gateway.admin_receipts set sealed = null
     where (actor_id, key_hmac) in (select actor_id, key_hmac from gateway.admin_receipts where sealed is not null and sealed_until <= p_now
                                     order by sealed_until limit p_limit for update skip locked);
    get diagnostics v_count = row_count;
    return v_total + v_count + gateway.erase_spent_answers(p_limit, p_now);
end $$;
comment on function gateway.erase_spent is
    'Erases stored responses whose time is over, receipts of customers and of admins, old secrets, and what was sealed in receipts.';

create or replace function api.delete_account(p_caller jsonb) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v            record;
    v_account_id bigint;
    v_answer     jsonb;
    v_owed       bigint;
begin
    -- Two who leave at once could each take the other for the one who stays.
    if exists (select from gateway.find_key(gateway.read_caller(p_caller), gateway.clock()) as found
                 join gateway.accounts as account on account.id = (found.key).account_id where account.role = 'admin') then
        perform pg_advisory_xact_lock(hashtext('gateway.admins'));
    end if;
    select * into v from gateway.enter_locked(p_caller, p_takes_account => true, p_takes_wallet => true);
    -- A key that spends nothing of the account, or less than all, does not end it.
    v_answer := coalesce(v.refusal, gateway.escalation(v.key, p_caller, 'live', '{}') || gateway.policy_of(v.key));
    if v_answer is not null then
        return v_answer;
    end if;
    v_account_id := (v.key).account_id;
    -- Whoever has this lock may wait for the account that is locked by now: nobody waits for him here.
    if exists (select from gateway.accounts where id = v_account_id and role = 'admin')
       and not pg_try_advisory_xact_lock(hashtext('gateway.admins')) then
        raise exception 'this account was made an admin''s meanwhile: try again' using errcode = 'lock_not_available';
    end if;
    if gateway.is_last_admin(v_account_id) then
        return gateway.refusal(409, 'last_admin') || gateway.policy_of(v.key);
    end if;
    perform gateway.bring_to_time(v_account_id, v.at);
    select owed_nanos into strict v_owed from gateway.wallets where account_id = v_account_id;
    if v_owed > 0 then
        return gateway.refusal(409, 'account_owes', jsonb_build_object('owed_nanos', v_owed)) || gateway.policy_of(v.key);
    end if;
    v_answer := gateway.answer('deleted', v.key, jsonb_build_object(
                    'account_id', v_account_id,
                    'fingerprints', gateway.key_fingerprints(array(select id from gateway.api_keys where account_id = v_account_id))));
    perform gateway.write_audit(v_account_id, case (v.key).kind when 'session' then 'user' else 'key' end, (v.key).id, 'account_deleted',
                                null, null, gateway.read_caller(p_caller));
    perform gateway.erase_account(v_account_id, v.at);
    return v_answer;
end $$;
comment on function api.delete_account is
    'Ends an account: no key of it is known from here on, nothing says whose it was, and its ledger stays. The last admin stays one. fingerprints: what the limiter has to forget.';

create function api.check_admin(p_admin jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v record;
begin
    select * into v from gateway.enter_admin(p_admin);
    return coalesce(v.refusal, gateway.admin_answer(v.admin, 'admin', '{}'));
end $$;
comment on function api.check_admin is 'Whether somebody operates the gateway, for what is looked at elsewhere than in the database.';
