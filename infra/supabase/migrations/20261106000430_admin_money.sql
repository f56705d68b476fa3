-- Credit and plans that an admin gives and takes.

create function api.give_credit(
    p_admin jsonb, p_account_id bigint, p_amount_nanos bigint, p_reason text, p_idempotency_key text,
    p_expires_in_days int default null, p_receipt jsonb default null
) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v          record;
    v_credited jsonb;
    v_answer   jsonb;
begin
    select * into v from gateway.enter_admin_to_change(p_admin, p_account_id, p_takes_wallet => true);
    v_answer := coalesce(v.refusal, gateway.admin_replay(v.admin, p_receipt));
    if v_answer is not null then
        return v_answer;
    end if;
    -- The ledger knows the key for ever, and of which admin it is: whoever comes again after a day gives nothing twice either.
    v_credited := api.credit_account(
        p_account_id, p_amount_nanos, 'admin', concat_ws(':', 'admin', coalesce(((v.admin).key).account_id, 0), p_idempotency_key),
        p_expires_at => case when p_amount_nanos > 0 then v.at + make_interval(hours => 24 * p_expires_in_days) end);
    if v_credited ->> 'verdict' = 'refused' then
        return v_credited || gateway.policy_of_admin(v.admin);
    end if;
    if not (v_credited ->> 'is_repeated')::boolean then
        perform gateway.write_admin_event(v.admin, p_account_id, 'credit_given', p_idempotency_key, jsonb_build_object(
                                              'amount_nanos', p_amount_nanos, 'moved_nanos', v_credited -> 'moved_nanos',
                                              'owed_nanos', v_credited -> 'owed_nanos', 'reason', p_reason));
    end if;
    return gateway.admin_answer(v.admin, 'credit', jsonb_build_object(
               'amount_nanos', p_amount_nanos, 'moved_nanos', v_credited -> 'moved_nanos', 'owed_nanos', v_credited -> 'owed_nanos',
               'is_repeated', v_credited -> 'is_repeated', 'user', gateway.user_view(p_account_id, v.at)), p_receipt);
end $$;
comment on function api.give_credit is
    'Gives an account credit, or takes some back where the amount is negative; what is spent already is owed then. Once for each key of each admin, for ever.';

create function api.assign_plan(p_admin jsonb, p_account_id bigint, p_plan_id text, p_receipt jsonb default null) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v        record;
    v_answer jsonb;
    v_before text;
    v_after  text;
begin
    select * into v from gateway.enter_admin_to_change(p_admin, p_account_id);
    v_answer := coalesce(v.refusal, gateway.admin_replay(v.admin, p_receipt));
    if v_answer is not null then
        return v_answer || gateway.account_fingerprints(p_account_id);
    end if;
    if (v.account).status = 'deleted' then
        return gateway.refusal(409, 'account_deleted') || gateway.policy_of_admin(v.admin);
    elsif not exists (select from gateway.plans where id = p_plan_id) then
        return gateway.refusal(404, 'unknown_plan', jsonb_build_object('plan_id', p_plan_id)) || gateway.policy_of_admin(v.admin);
    end if;
    v_before := (v.account).plan_id;
    update gateway.accounts set base_plan_id = p_plan_id where id = p_account_id and base_plan_id <> p_plan_id;
    if found then
        -- A subscription to a higher plan goes on to hold.
        perform gateway.settle_plan(p_account_id, v.at);
        select plan_id into strict v_after from gateway.accounts where id = p_account_id;
        perform gateway.write_admin_event(v.admin, p_account_id, 'plan_assigned', p_plan_id, jsonb_build_object(
                                              'base_from', (v.account).base_plan_id, 'from', v_before, 'to', v_after));
        if v_after <> v_before then
            perform gateway.tell_of_plan(p_account_id, v_after, null, 'admin', v.at);
        end if;
    end if;
    return gateway.admin_answer(v.admin, 'user', jsonb_build_object('user', gateway.user_view(p_account_id, v.at)), p_receipt)
        || gateway.account_fingerprints(p_account_id);
end $$;
comment on function api.assign_plan is
    'Gives an account the limits of a plan without a subscription, and none of the credit that is paid for with it. A higher plan that it subscribes to holds on.';
