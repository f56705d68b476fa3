-- How an account ends, since whoever was given something once is remembered from then on: nobody has to be when he leaves.

create or replace function gateway.erase_account(p_account_id bigint, p_now timestamptz) returns void
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
    delete from gateway.referral_codes where account_id = p_account_id;
    select gateway.forget_whereabouts(p_account_id);
    -- is_zero_retention: a request that is still under way leaves no answer either. Who he is at Stripe stays with his
    -- payments: one of them may have to go back.
    update gateway.accounts
       set status = 'deleted', deleted_at = p_now, privy_id = null, external_id = null, email = null, email_normalised = null, name = null,
           preferences = '{}', email_preferences = '{}', low_balance_threshold_nanos = null, signup_referral_code = null, email_bounced_at = null,
           is_zero_retention = true
     where id = p_account_id;
$$;

drop function api.delete_account(jsonb, jsonb);
create function api.delete_account(p_caller jsonb) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v            record;
    v_account_id bigint;
    v_answer     jsonb;
    v_owed       bigint;
begin
    select * into v from gateway.enter_locked(p_caller, p_takes_account => true, p_takes_wallet => true);
    -- A key that spends nothing of the account, or less than all, does not end it.
    v_answer := coalesce(v.refusal, gateway.escalation(v.key, p_caller, 'live', '{}') || gateway.policy_of(v.key));
    if v_answer is not null then
        return v_answer;
    end if;
    v_account_id := (v.key).account_id;
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
    'Ends an account: no key of it is known from here on, nothing says whose it was, and its ledger stays. fingerprints: what the limiter has to forget.';

drop function gateway.remember_person(gateway.leaver);
drop type gateway.leaver;
