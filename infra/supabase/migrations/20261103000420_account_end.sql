-- How an account ends: at once, remembered by an HMAC alone, its ledger kept.

create function api.read_person(p_caller jsonb) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v record;
begin
    select * into v from gateway.enter(p_caller);
    if v.refusal is not null then
        return v.refusal;
    end if;
    return (select gateway.answer('person', v.key, jsonb_build_object('privy_id', privy_id, 'email_normalised', email_normalised))
              from gateway.accounts where id = (v.key).account_id);
end $$;
comment on function api.read_person is 'Who the owner is, for the HMACs by which he is remembered when his account is deleted: those are made by who has our secrets.';

create type gateway.leaver as (privy_id text, privy_id_hmac text, email_normalised text, email_hmac text);
comment on type gateway.leaver is 'Whose account is deleted, and the HMACs (hex) of what he is known by.';

create function gateway.remember_person(p_leaver gateway.leaver) returns void
language sql
as $$
    insert into gateway.remembered_people (person_hmac, kind, created_at)
    select decode(hmac, 'hex'), kind, gateway.clock()
      from (values (p_leaver.privy_id_hmac, 'privy_id'), (p_leaver.email_hmac, 'email')) as known (hmac, kind)
     where hmac is not null
    on conflict (person_hmac) do nothing
$$;

create function gateway.erase_account(p_account_id bigint, p_now timestamptz) returns void
language sql
as $$
    delete from gateway.key_secrets where key_id in (select id from gateway.api_keys where account_id = p_account_id);
    update gateway.api_keys
       set name = 'deleted', masked = 'deleted', is_active = false, revoked_at = coalesce(revoked_at, p_now), ip_allowlist = null, allowed_domains = null,
           pending_secret = null, pending_secret_id = null, rotate_every_days = null, rotates_at = null
     where account_id = p_account_id;
    -- Once more after the keys: who was giving one of them a secret had it locked, and what he gave is seen from here on.
    delete from gateway.key_secrets where key_id in (select id from gateway.api_keys where account_id = p_account_id);
    select gateway.erase_kept_answers(p_account_id);
    delete from gateway.receipts where account_id = p_account_id;
    select gateway.forget_whereabouts(p_account_id);
    -- is_zero_retention: a request that is still under way leaves no answer either.
    update gateway.accounts
       set status = 'deleted', deleted_at = p_now, privy_id = null, external_id = null, email = null, email_normalised = null, name = null,
           preferences = '{}', email_preferences = '{}', low_balance_threshold_nanos = null, signup_referral_code = null, is_zero_retention = true
     where id = p_account_id;
$$;
comment on function gateway.erase_account is
    'Takes from an account all that says whose it was, and every way in. Wallet, ledger and usage stay, under its number.';

create function api.delete_account(p_caller jsonb, p_leaver jsonb) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v              record;
    v_leaver       gateway.leaver := jsonb_populate_record(null::gateway.leaver, p_leaver);
    v_account      gateway.accounts;
    v_fingerprints text[];
    v_answer       jsonb;
    v_now          timestamptz;
    v_owed         bigint;
begin
    if (v_leaver.privy_id is null) <> (v_leaver.privy_id_hmac is null) or (v_leaver.email_normalised is null) <> (v_leaver.email_hmac is null) then
        raise exception 'who leaves is remembered by an HMAC of each thing he is known by' using errcode = 'invalid_parameter_value';
    end if;
    select * into v from gateway.enter_locked(p_caller, p_takes_account => true, p_takes_wallet => true);
    -- A key that spends nothing of the account, or less than all, does not end it.
    v_answer := coalesce(v.refusal, gateway.escalation(v.key, p_caller, 'live', '{}') || gateway.policy_of(v.key));
    if v_answer is not null then
        return v_answer;
    end if;
    v_now := v.at;
    select * into v_account from gateway.accounts where id = (v.key).account_id;
    if (v_account.privy_id, v_account.email_normalised) is distinct from (v_leaver.privy_id, v_leaver.email_normalised) then
        return gateway.answer('person_changed', v.key, '{}');
    end if;
    perform gateway.bring_to_time(v_account.id, v_now);
    select owed_nanos into strict v_owed from gateway.wallets where account_id = v_account.id;
    if v_owed > 0 then
        return gateway.refusal(409, 'account_owes', jsonb_build_object('owed_nanos', v_owed)) || gateway.policy_of(v.key);
    end if;
    v_fingerprints := gateway.key_fingerprints(array(select id from gateway.api_keys where account_id = v_account.id));
    v_answer := gateway.answer('deleted', v.key, jsonb_build_object('account_id', v_account.id, 'fingerprints', v_fingerprints));
    perform gateway.remember_person(v_leaver);
    perform gateway.write_audit(v_account.id, case (v.key).kind when 'session' then 'user' else 'key' end, (v.key).id, 'account_deleted',
                                null, null, gateway.read_caller(p_caller));
    perform gateway.erase_account(v_account.id, v_now);
    return v_answer;
end $$;
comment on function api.delete_account is
    'Ends an account: no key of it is known from here on, nothing says whose it was, and its ledger stays. fingerprints: what the limiter has to forget.';
