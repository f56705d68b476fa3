-- People: who signed in with Privy, and what is remembered of those who left.

alter table gateway.accounts
    add column privy_id text unique check (privy_id ~ '^did:privy:[!-~]{1,200}$'),
    add column email text check (length(email) between 3 and 254),
    add column email_normalised text check (length(email_normalised) between 3 and 254),
    add column name text check (length(name) between 1 and 100),
    add column preferences jsonb not null default '{}' check (jsonb_typeof(preferences) = 'object'),
    add column signup_referral_code text check (length(signup_referral_code) between 1 and 64),
    add column low_balance_threshold_nanos bigint check (low_balance_threshold_nanos >= 0),
    add column deleted_at timestamptz,
    -- Who signs in again after that is someone new.
    add constraint deleted_accounts_are_nobody check (
        status <> 'deleted' or (privy_id is null and email is null and email_normalised is null and name is null));
comment on column gateway.accounts.privy_id is 'Who it is. Nothing else is: two people may have one e-mail address, and one person two.';
comment on column gateway.accounts.email is 'Where to write to: the last address that an identity token vouched for.';
comment on column gateway.accounts.email_normalised is 'The mailbox behind the address, by which an abuse is known again.';
comment on column gateway.accounts.signup_referral_code is 'What the person came with; whether it is one is looked at when it would pay.';
comment on column gateway.accounts.low_balance_threshold_nanos is 'Below this the owner wants to be told; null is never.';
create index accounts_by_mailbox on gateway.accounts (email_normalised) where email_normalised is not null;

create table gateway.remembered_people (
    person_hmac bytea primary key check (length(person_hmac) = 32),
    kind        text not null check (kind in ('privy_id', 'email')),
    created_at  timestamptz not null default now()
);
comment on table gateway.remembered_people is
    'Who has had what is given once to a person, such as a trial, as the HMAC of his Privy id or mailbox: it outlives the account, and tells nobody who it was. Its first four bytes name the secret of ours it stands under.';
alter table gateway.remembered_people enable row level security;

create type gateway.person as (privy_id text, email text, email_normalised text, referral_code text);
comment on type gateway.person is 'Someone whom Privy has signed in; the address where an identity token vouches for one.';

create function gateway.make_account(p_person gateway.person, p_first_key jsonb, p_caller gateway.caller) returns gateway.accounts
language plpgsql
as $$
declare
    v_account gateway.accounts;
    v_key_id  bigint;
begin
    -- Of many at once one makes it; the others wait here for that one to be done, and make nothing.
    insert into gateway.accounts (privy_id, plan_id, email, email_normalised, signup_referral_code, created_at)
    values (p_person.privy_id, 'free', p_person.email, p_person.email_normalised, p_person.referral_code, gateway.clock())
    on conflict (privy_id) do nothing
    returning * into v_account;
    if not found then
        return null;
    end if;
    insert into gateway.wallets (account_id) values (v_account.id);
    insert into gateway.quota_usage (account_id) values (v_account.id);
    insert into gateway.api_keys (account_id, name, environment, masked, scopes)
    values (v_account.id, p_first_key ->> 'name', 'live', p_first_key ->> 'masked', gateway.user_scopes())
    returning id into v_key_id;
    insert into gateway.key_secrets (key_hmac, key_id) values (decode(p_first_key ->> 'key_hmac', 'hex'), v_key_id);
    perform gateway.write_audit(v_account.id, 'user', null, 'account_created', null, null, p_caller);
    perform gateway.write_audit(v_account.id, 'user', null, 'key_created', v_key_id::text,
                                jsonb_build_object('name', p_first_key ->> 'name', 'environment', 'live'), p_caller);
    return v_account;
end $$;
comment on function gateway.make_account is 'The account of someone new, on the free plan, with its wallet and first key; null where somebody else has just made it.';

create function gateway.take_over_email(p_account gateway.accounts, p_person gateway.person, p_caller gateway.caller) returns void
language sql
as $$
    with changed as (
        update gateway.accounts set email = p_person.email, email_normalised = p_person.email_normalised
         where id = p_account.id and p_person.email is not null
           and (email, email_normalised) is distinct from (p_person.email, p_person.email_normalised)
        returning id
    )
    -- The address itself would outlive the account here.
    select gateway.write_audit(id, 'user', null, 'profile_updated', null, '{"fields": ["email"]}', p_caller) from changed
$$;

create function gateway.signed_in(p_account_id bigint, p_session_id bigint, p_is_new_user boolean) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'verdict', 'signed_in', 'is_new_user', p_is_new_user, 'policy', gateway.limits_policy(p_session_id),
        'user', jsonb_build_object('id', id, 'email', email, 'name', name, 'status', status, 'plan_id', plan_id, 'created_at', created_at))
      from gateway.accounts where id = p_account_id
$$;

create function api.sign_in(p_person jsonb, p_session_hmacs text[], p_first_key jsonb, p_request jsonb) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v_person     gateway.person := jsonb_populate_record(null::gateway.person, p_person);
    v_caller     gateway.caller := row('{}'::bytea[], null, gateway.read_address(p_request ->> 'address'), null, p_request ->> 'request_id');
    v_receipt    jsonb := p_request -> 'receipt';
    v_account    gateway.accounts;
    v_session_id bigint;
    v_is_new     boolean := false;
    v_earlier    jsonb;
begin
    if v_person.privy_id is null or coalesce(cardinality(p_session_hmacs), 0) = 0 then
        raise exception 'nobody can sign in without a Privy id and its HMACs' using errcode = 'invalid_parameter_value';
    end if;
    -- Locked and found in one statement: one that is deleted while we wait is found no more.
    select * into v_account from gateway.accounts where privy_id = v_person.privy_id for no key update;
    if not found then
        v_account := gateway.make_account(v_person, p_first_key, v_caller);
        v_is_new := v_account.id is not null;
        if not v_is_new then
            select * into strict v_account from gateway.accounts where privy_id = v_person.privy_id for no key update;
        end if;
    end if;

    v_earlier := gateway.find_receipt(v_account.id, v_receipt);
    if v_earlier ->> 'verdict' = 'refused' then
        return v_earlier;
    end if;
    v_session_id := gateway.open_session(v_account.id, p_session_hmacs);
    if v_earlier is not null then
        return gateway.signed_in(v_account.id, v_session_id, (v_earlier -> 'result' ->> 'is_new_user')::boolean)
            || jsonb_build_object('is_replayed', true, 'sealed', v_earlier -> 'sealed');
    end if;
    -- Our own second attempt, after a connection that broke: what the first one made is this one's.
    if not v_is_new and exists (
        select from gateway.key_secrets as secret join gateway.api_keys as key on key.id = secret.key_id
         where secret.key_hmac = decode(p_first_key ->> 'key_hmac', 'hex') and key.account_id = v_account.id)
    then
        return gateway.signed_in(v_account.id, v_session_id, true);
    end if;

    perform gateway.take_over_email(v_account, v_person, v_caller);
    perform gateway.write_audit(v_account.id, 'user', v_session_id, 'user_signed_in', null, null, v_caller);
    if not v_is_new and jsonb_typeof(v_receipt) = 'object' then
        v_receipt := v_receipt || '{"sealed": null}';
    end if;
    perform gateway.keep_receipt(v_account.id, v_receipt, jsonb_build_object('is_new_user', v_is_new));
    return gateway.signed_in(v_account.id, v_session_id, v_is_new);
end $$;
comment on function api.sign_in is
    'Finds the account of a Privy id, or makes it with its first key. Whoever else signs in at that moment finds it made. A second call with the same first key answers as the first.';
