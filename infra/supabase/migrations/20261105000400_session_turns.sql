-- A request with a session: how much of the session stands before its messages, and whether its turn would fit.

create function gateway.turn_budget(p_turn jsonb) returns int
language sql stable
as $$
    select greatest(0, least(100000, min(model.context_length - (p_turn ->> 'input_tokens')::bigint
                                         - (p_turn ->> 'images')::bigint * coalesce(model.image_input_tokens, 0)
                                         - least(model.max_output_tokens,
                                                 (p_turn ->> case when 'reasoning' = any (model.supported_parameters)
                                                                  then 'reasoning_output_tokens' else 'output_tokens' end)::bigint))))::int
      from gateway.models as model
     where model.is_enabled and model.id in (select jsonb_array_elements_text(p_turn -> 'models'))
$$;
comment on function gateway.turn_budget is
    'The tokens of a session that stand before a request: what each of its models has left beside its own messages and the bound of its answer, and 100,000 at most.';

create function gateway.chat_excess(p_session gateway.chat_sessions, p_count int, p_bytes bigint, p_largest_bytes bigint) returns jsonb
language plpgsql stable
as $$
declare
    v_bounds gateway.chat_bounds := gateway.chat_bounds();
    v_usage  gateway.chat_usage;
begin
    select * into v_usage from gateway.chat_usage where account_id = p_session.account_id;
    if p_largest_bytes > v_bounds.message_bytes then
        return gateway.refusal(413, 'message_too_large', jsonb_build_object('limit', v_bounds.message_bytes));
    end if;
    if p_session.messages + p_count > v_bounds.session_messages then
        return gateway.refusal(409, 'session_full', jsonb_build_object('limit', v_bounds.session_messages));
    end if;
    if v_usage.messages + p_count > v_bounds.messages or v_usage.size_bytes + p_bytes > v_bounds.size_bytes then
        return gateway.refusal(409, 'history_full', jsonb_build_object('messages', v_bounds.messages, 'size_bytes', v_bounds.size_bytes));
    end if;
    return null;
end $$;
comment on function gateway.chat_excess is 'Which bound so many messages more would pass; null where they fit.';

create or replace function gateway.add_messages(
    p_session gateway.chat_sessions, p_messages jsonb, p_model_id text, p_generation_id uuid, p_now timestamptz
) returns jsonb
language plpgsql
as $$
declare
    v_count   int := jsonb_array_length(p_messages);
    v_bytes   bigint;
    v_most    bigint;
    v_refusal jsonb;
begin
    select sum(octet_length((added -> 'message')::text)), max(octet_length((added -> 'message')::text)) into v_bytes, v_most
      from jsonb_array_elements(p_messages) as added;
    v_refusal := gateway.chat_excess(p_session, v_count, v_bytes, v_most);
    if v_refusal is not null then
        return v_refusal;
    end if;
    insert into gateway.chat_messages (account_id, session_id, position, message, model_id, tokens, generation_id, generation_position, created_at)
    select p_session.account_id, p_session.id, p_session.last_position + added.number, added.value -> 'message', p_model_id,
           coalesce((added.value ->> 'tokens')::int, gateway.estimate_tokens(added.value -> 'message')),
           p_generation_id, case when p_generation_id is not null then added.number end, p_now
      from jsonb_array_elements(p_messages) with ordinality as added (value, number);
    update gateway.chat_sessions set last_position = last_position + v_count, updated_at = p_now where id = p_session.id;
    return null;
end $$;

create function gateway.turn_refusal(p_session gateway.chat_sessions, p_turn jsonb, p_is_first boolean, p_replaced int) returns jsonb
language sql stable
as $$
    -- Instructions are stored at the head of a session alone.
    select gateway.chat_excess(
               p_session,
               (p_turn ->> 'messages')::int + case when p_is_first then (p_turn ->> 'instruction_messages')::int else 0 end - p_replaced,
               (p_turn ->> 'size_bytes')::bigint + case when p_is_first then (p_turn ->> 'instruction_bytes')::bigint else 0 end,
               greatest((p_turn ->> 'largest_bytes')::bigint,
                        case when p_is_first then (p_turn ->> 'largest_instruction_bytes')::bigint end))
$$;

create function gateway.end_claims(p_key_id bigint, p_claim gateway.claim) returns void
language sql
as $$
    delete from gateway.replays as claim
     using gateway.holds as hold
     where claim.key_id = p_key_id and claim.key_hmac is null and claim.body_hmac = any (p_claim.body_hmacs)
       and hold.id = claim.generation_id and hold.state not in ('held', 'expired')
$$;
comment on function gateway.end_claims is
    'Forgets how requests that were answered would be known again by this body: the same words later in a session are another turn, and a retry that comes now is its own. The wallet is locked.';

create function api.begin_chat_turn(p_caller jsonb, p_session_id bigint, p_turn jsonb, p_claim jsonb default null) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v         record;
    v_claim   gateway.claim := gateway.read_claim(p_claim);
    v_told    jsonb;
    v_account gateway.accounts;
    v_places  int[];
    v_refusal jsonb;
begin
    if p_claim is not null and v_claim.key_hmacs is null and not v_claim.is_retry then
        select * into v from gateway.enter_locked(p_caller, p_takes_account => false, p_takes_wallet => true);
        if v.refusal is not null then
            return v.refusal;
        end if;
        perform gateway.end_claims((v.key).id, v_claim);
    end if;
    v_told := api.read_chat_turns(p_caller, p_session_id, gateway.turn_budget(p_turn), p_claim);
    if v_told ->> 'verdict' <> 'turns' then
        return v_told;
    end if;
    select * into strict v_account from gateway.accounts where id = (v_told -> 'policy' ->> 'account_id')::bigint;
    -- Of an account without retention nothing is stored, so nothing can be too much.
    if not v_account.is_zero_retention then
        v_places := gateway.places_of_first_try((v_told -> 'policy' ->> 'key_id')::bigint, p_session_id, v_claim);
        v_refusal := gateway.turn_refusal(gateway.find_session(v_account.id, p_session_id), p_turn,
                                          v_told -> 'messages' = '[]' and not (v_told ->> 'is_cut')::boolean, cardinality(v_places));
    end if;
    return coalesce(v_refusal || jsonb_build_object('policy', v_told -> 'policy'), v_told);
end $$;
comment on function api.begin_chat_turn is
    'What stands before a request''s own messages, {models, input_tokens, output_tokens, reasoning_output_tokens, images}, within what its models take; or why what it would leave, {messages, size_bytes, largest_bytes} and the instructions of a first turn, cannot be stored: said before it costs anything. p_claim: how it is known again, as api.admit has it.';
