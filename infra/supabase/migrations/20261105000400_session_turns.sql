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
