-- Accounts as admins find, change and make them.

create index accounts_by_email_prefix on gateway.accounts (lower(email) text_pattern_ops) where email is not null;
create index accounts_by_name_prefix on gateway.accounts (lower(name) text_pattern_ops) where name is not null;
create index accounts_by_external_prefix on gateway.accounts (lower(external_id) text_pattern_ops) where external_id is not null;

create function gateway.user_line(p_account gateway.accounts) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
               'id', p_account.id, 'external_id', p_account.external_id, 'privy_id', p_account.privy_id, 'email', p_account.email,
               'name', p_account.name, 'status', p_account.status, 'role', p_account.role, 'plan_id', p_account.plan_id,
               'flags', p_account.flags, 'dispute_status', p_account.dispute_status, 'created_at', p_account.created_at,
               'posted_nanos', wallet.posted_nanos, 'owed_nanos', wallet.owed_nanos)
      from gateway.wallets as wallet where wallet.account_id = p_account.id
$$;
comment on function gateway.user_line is 'An account as admins see it in a list; posted_nanos is what it has, what is set aside included.';

create function gateway.user_view(p_account_id bigint, p_now timestamptz) returns jsonb
language sql stable
as $$
    select gateway.user_line(account) || jsonb_build_object(
               'base_plan_id', account.base_plan_id, 'is_zero_retention', account.is_zero_retention, 'deleted_at', account.deleted_at,
               'standing', gateway.standing(account, p_now),
               -- As of now, though nobody may have come by to write it down.
               'available_nanos', gateway.available(p_account_id, p_now),
               'held_nanos', (select coalesce(sum(amount_nanos), 0)::bigint from gateway.holds
                               where account_id = p_account_id and state = 'held' and expires_at > p_now),
               'quotas', gateway.quotas(p_account_id, p_now),
               'keys', (select count(*) from gateway.api_keys where account_id = p_account_id and kind = 'secret' and revoked_at is null),
               'last_used_at', (select max(last_used_at) from gateway.api_keys where account_id = p_account_id))
      from gateway.accounts as account where account.id = p_account_id
$$;
comment on function gateway.user_view is 'All that admins see of one account.';

create type gateway.user_filter as (search text, account_id bigint, status text, role text, plan_id text);
comment on type gateway.user_filter is
    'Which accounts are meant: null is any. search: how an e-mail address, a name or an external id begins, or a whole Privy id.';

create function gateway.like_prefix(p_text text) returns text
language sql immutable
as $$ select replace(replace(replace(lower(p_text), '\', '\\'), '%', '\%'), '_', '\_') || '%' $$;

create function gateway.found_users(p_filter gateway.user_filter, p_limit int, p_before bigint) returns setof gateway.accounts
language sql stable
as $$
    select account.*
      from gateway.accounts as account
     where account.id < coalesce(p_before, 9223372036854775807)
       and (p_filter.account_id is null or account.id = p_filter.account_id)
       and (p_filter.status is null or account.status = p_filter.status)
       and (p_filter.role is null or account.role = p_filter.role)
       and (p_filter.plan_id is null or account.plan_id = p_filter.plan_id)
       and (p_filter.search is null or lower(account.email) like gateway.like_prefix(p_filter.search)
            or lower(account.name) like gateway.like_prefix(p_filter.search)
            or lower(account.external_id) like gateway.like_prefix(p_filter.search)
            or account.privy_id = p_filter.search)
     order by account.id desc limit p_limit
$$;

create function api.list_users(p_admin jsonb, p_filter jsonb, p_limit int, p_before bigint default null) returns jsonb
language plpgsql security definer set search_path = '' set plan_cache_mode = force_custom_plan
as $$
declare
    v       record;
    v_users jsonb;
begin
    select * into v from gateway.enter_admin(p_admin);
    if v.refusal is not null then
        return v.refusal;
    end if;
    select coalesce(jsonb_agg(gateway.user_line(listed) order by listed.id desc), '[]') into v_users
      from gateway.found_users(jsonb_populate_record(null::gateway.user_filter, p_filter), p_limit, p_before) as listed;
    return gateway.admin_answer(v.admin, 'users', jsonb_build_object('users', v_users));
end $$;
comment on function api.list_users is 'A page of accounts, newest first, those before an id; p_filter is a gateway.user_filter.';

create function api.read_user(p_admin jsonb, p_account_id bigint) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v      record;
    v_user jsonb;
begin
    select * into v from gateway.enter_admin(p_admin);
    if v.refusal is not null then
        return v.refusal;
    end if;
    v_user := gateway.user_view(p_account_id, gateway.clock());
    if v_user is null then
        return gateway.refusal(404, 'user_not_found') || gateway.policy_of_admin(v.admin);
    end if;
    return gateway.admin_answer(v.admin, 'user', jsonb_build_object('user', v_user));
end $$;
comment on function api.read_user is 'One account, with what it has and has used.';

create function gateway.account_fingerprints(p_account_id bigint) returns jsonb
language sql stable
as $$
    select jsonb_build_object('fingerprints', gateway.key_fingerprints(array(select id from gateway.api_keys where account_id = p_account_id)))
$$;
comment on function gateway.account_fingerprints is 'What the limiter is to ask anew for.';

create function api.update_user(p_admin jsonb, p_account_id bigint, p_changes jsonb, p_receipt jsonb default null) returns jsonb
language plpgsql security definer set search_path = '' set lock_timeout = '4s'
as $$
declare
    v        record;
    v_new    gateway.accounts;
    v_answer jsonb;
begin
    if exists (select from jsonb_object_keys(p_changes) as name where name not in ('status', 'role', 'name')) then
        raise exception 'nothing of an account that an admin changes: %', p_changes using errcode = 'invalid_parameter_value';
    end if;
    select * into v from gateway.enter_admin_to_change(p_admin, p_account_id);
    v_answer := coalesce(v.refusal, gateway.admin_replay(v.admin, p_receipt));
    if v_answer is not null then
        return v_answer || gateway.account_fingerprints(p_account_id);
    end if;
    if (v.account).status = 'deleted' then
        return gateway.refusal(409, 'account_deleted') || gateway.policy_of_admin(v.admin);
    end if;
    v_new := jsonb_populate_record(v.account, p_changes);
    if (v_new.role <> 'admin' or v_new.status <> 'active') and gateway.is_last_admin(p_account_id) then
        return gateway.refusal(409, 'last_admin') || gateway.policy_of_admin(v.admin);
    end if;
    update gateway.accounts set status = v_new.status, role = v_new.role, name = v_new.name
     where id = p_account_id and (status, role, name) is distinct from (v_new.status, v_new.role, v_new.name);
    if v_new.status <> (v.account).status then
        perform gateway.write_admin_event(v.admin, p_account_id, case v_new.status when 'suspended' then 'account_suspended' else 'account_reinstated' end,
                                          null, '{}');
    end if;
    if v_new.role <> (v.account).role then
        perform gateway.write_admin_event(v.admin, p_account_id, 'role_changed', null, jsonb_build_object('from', (v.account).role, 'to', v_new.role));
    end if;
    if v_new.name is distinct from (v.account).name then
        -- The name itself would outlive the account here.
        perform gateway.write_admin_event(v.admin, p_account_id, 'profile_updated', null, '{"fields": ["name"]}');
    end if;
    return gateway.admin_answer(v.admin, 'user', jsonb_build_object('user', gateway.user_view(p_account_id, v.at)), p_receipt)
        || gateway.account_fingerprints(p_account_id);
end $$;
comment on function api.update_user is
    'Suspends or reinstates an account, makes its owner an admin or one no more, or names him. The last admin stays one. Again changes nothing.';

create type gateway.provision as (external_id text, email text, name text, plan_id text);
comment on type gateway.provision is 'An account that an operator makes for somebody who never signs in here.';

create function gateway.make_provisioned_account(p_user gateway.provision, p_now timestamptz) returns bigint
language plpgsql
as $$
declare
    v_account_id bigint;
begin
    -- The address is the operator's word: it is written to, and nobody is known by it.
    insert into gateway.accounts (external_id, plan_id, base_plan_id, email, name, created_at)
    values (p_user.external_id, p_user.plan_id, p_user.plan_id, p_user.email, p_user.name, p_now)
    returning id into v_account_id;
    insert into gateway.wallets (account_id) values (v_account_id);
    insert into gateway.quota_usage (account_id) values (v_account_id);
    return v_account_id;
end $$;

create function gateway.put_provisioned_key(
    p_account_id bigint, p_asked gateway.api_keys, p_secret jsonb, p_now timestamptz,
    out key gateway.api_keys, out is_made boolean, out refusal jsonb
)
language plpgsql
as $$
declare
    v_key_id bigint;
begin
    is_made := false;
    select id into v_key_id from gateway.api_keys
     where account_id = p_account_id and name = p_asked.name and kind = 'secret' and revoked_at is null;
    if found then
        perform from gateway.key_secrets where key_id = v_key_id for update;
        perform from gateway.api_keys where id = v_key_id for no key update;
        select * into key from gateway.api_keys where id = v_key_id;
        -- Its secret begins with what was asked for, and is taken for it.
        if key.environment <> p_asked.environment or not (key.scopes @> p_asked.scopes and key.scopes <@ p_asked.scopes) then
            refusal := gateway.refusal(409, 'key_differs', jsonb_build_object(
                           'name', key.name, 'environment', key.environment, 'scopes', array_to_string(key.scopes, ', ')));
        elsif not key.is_active or key.expires_at <= p_now then
            refusal := gateway.refusal(409, 'key_not_active', jsonb_build_object(
                           'name', key.name, 'state', case when key.expires_at <= p_now then 'expired' else 'switched off' end));
        else
            key := gateway.replace_secret(key, p_secret, p_now, p_now);
        end if;
        return;
    end if;
    if (select count(*) from gateway.api_keys as live
         where live.account_id = p_account_id and live.kind = 'secret' and live.revoked_at is null) >= gateway.max_keys() then
        refusal := gateway.refusal(409, 'too_many_keys', jsonb_build_object('limit', gateway.max_keys()));
        return;
    end if;
    insert into gateway.api_keys (account_id, name, environment, masked, scopes, created_at)
    values (p_account_id, p_asked.name, p_asked.environment, p_secret ->> 'masked', p_asked.scopes, p_now)
    returning * into key;
    insert into gateway.key_secrets (key_hmac, key_id, created_at) values (decode(p_secret ->> 'key_hmac', 'hex'), key.id, p_now);
    is_made := true;
end $$;
comment on function gateway.put_provisioned_key is
    'The key of this name with this secret: made, or in the place of the secret that it had; refused where the key that there is may do other things than are asked for, or nothing now. The account is locked.';

-- A key that an operator adds is told to its owner as one that he has made himself.
drop trigger mail_of_event on gateway.audit_log;
create trigger mail_of_event after insert on gateway.audit_log
    for each row when (new.event in ('account_created', 'address_refused', 'domain_refused', 'key_rotated')
                       -- The first key comes with the account; nobody's key made it.
                       or new.event = 'key_created' and (new.key_id is not null or new.details ? 'is_added'))
    execute function gateway.mail_of_event();

create function api.provision_user(
    p_admin jsonb, p_user jsonb, p_key jsonb, p_secret jsonb, p_is_key_replaced boolean default false, p_receipt jsonb default null
) returns jsonb
language plpgsql security definer set search_path = '' set lock_timeout = '4s'
as $$
declare
    v              record;
    v_user         gateway.provision := jsonb_populate_record(null::gateway.provision, p_user);
    v_asked        gateway.api_keys := jsonb_populate_record(null::gateway.api_keys, p_key);
    v_account_id   bigint;
    v_put          record;
    v_key          jsonb;
    v_fingerprints jsonb := '{"fingerprints": []}';
    v_answer       jsonb;
    v_is_new       boolean;
begin
    select id into v_account_id from gateway.accounts where external_id = v_user.external_id;
    select * into v from gateway.enter_admin_to_change(p_admin, v_account_id);
    v_answer := coalesce(v.refusal, gateway.admin_replay(v.admin, p_receipt));
    if v_answer is not null then
        return v_answer;
    end if;
    -- Two that make the same one come one after the other, and the second finds it only now.
    select id into v_account_id from gateway.accounts where external_id = v_user.external_id for no key update;
    v_is_new := not found;
    if v_is_new and not exists (select from gateway.plans where id = v_user.plan_id) then
        return gateway.refusal(404, 'unknown_plan', jsonb_build_object('plan_id', v_user.plan_id)) || gateway.policy_of_admin(v.admin);
    end if;
    if v_is_new then
        v_account_id := gateway.make_provisioned_account(v_user, v.at);
        perform gateway.write_admin_event(v.admin, v_account_id, 'account_created', null, jsonb_build_object('plan_id', v_user.plan_id));
    end if;
    if v_is_new or p_is_key_replaced then
        v_fingerprints := gateway.account_fingerprints(v_account_id);
        select * into v_put from gateway.put_provisioned_key(v_account_id, v_asked, p_secret, v.at);
        if v_put.refusal is not null then
            return v_put.refusal || gateway.policy_of_admin(v.admin);
        end if;
        v_key := gateway.key_view(v_put.key);
        -- Where the operator sits is not for the owner, who reads the events of his keys.
        perform gateway.write_audit(
            v_account_id, 'admin', ((v.admin).key).id, case when v_put.is_made then 'key_created' else 'key_rotated' end, (v_put.key).id::text,
            jsonb_build_object('environment', v_key -> 'environment', 'scopes', v_key -> 'scopes')
                || case when not v_put.is_made then '{"overlap_hours": 0}' when v_is_new then '{}' else '{"is_added": true}' end::jsonb, null);
    end if;
    v_answer := jsonb_build_object('is_new_user', v_is_new, 'user', gateway.user_view(v_account_id, v.at), 'key', v_key);
    return gateway.admin_answer(v.admin, 'provisioned', v_answer, p_receipt) || v_fingerprints;
end $$;
comment on function api.provision_user is
    'The account of an external id, made with its first key where there is none. Again answers the same account and no key, unless one is asked for in the place of a lost one.';
