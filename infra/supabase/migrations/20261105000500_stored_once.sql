-- Twice at once, as when an answer of ours was lost on its way, is once: whoever comes second waits for the counts and
-- finds what the first has stored.
create or replace function api.store_response(p_generation_id uuid, p_previous_id uuid, p_content text, p_size_bytes int) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v_account_id bigint;
    v_keeps      boolean;
    v_now        timestamptz;
begin
    select account_id into v_account_id from gateway.holds where id = p_generation_id;
    if not found then
        return gateway.refusal(404, 'unknown_hold');
    end if;
    -- Whoever ends the account, or has it keep nothing, is waited for, so that nothing is stored behind his back.
    select not is_zero_retention and status <> 'deleted' into strict v_keeps from gateway.accounts where id = v_account_id for share;
    v_now := gateway.clock();
    if not v_keeps then
        return gateway.refusal(409, 'response_not_stored', jsonb_build_object('reason', 'zero_retention'));
    end if;
    perform from gateway.quota_usage where account_id = v_account_id for no key update;
    perform from gateway.stored_responses where generation_id = p_generation_id;
    if found then
        return jsonb_build_object('verdict', 'stored');
    end if;
    update gateway.quota_usage set stored_bytes = stored_bytes + octet_length(p_content)
     where account_id = v_account_id and stored_bytes + octet_length(p_content) <= 268435456;
    if not found then
        return gateway.refusal(409, 'response_not_stored', jsonb_build_object('reason', 'full'));
    end if;
    insert into gateway.stored_responses (generation_id, account_id, previous_id, content, size_bytes, expires_at, created_at)
    values (p_generation_id, v_account_id, p_previous_id, p_content, p_size_bytes, v_now + interval '30 days', v_now);
    return jsonb_build_object('verdict', 'stored');
end $$;
comment on function api.store_response is
    'Stores what a request of /v1/responses was answered, for thirty days and up to 256 MiB an account; again, also at once, changes nothing.';
