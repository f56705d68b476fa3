-- What a request with a session takes from it and leaves in it, and how history ends.

create function gateway.last_turns(p_account_id bigint, p_session_id bigint, p_token_budget int) returns jsonb
language sql stable
as $$
    with session as (
        select id, model_id, messages from gateway.chat_sessions
         where id = p_session_id and account_id = p_account_id and deleted_at is null),
    -- What the model was told first holds for all that follows, so it stays when older turns go.
    head as (
        select first.position, first.tokens
          from session, lateral (select position, role, tokens from gateway.chat_messages
                                  where session_id = session.id order by position limit 1) as first
         where first.role in ('system', 'developer') and first.tokens <= p_token_budget),
    summed as (
        select recent.position, recent.role,
               sum(recent.tokens) over (order by recent.position desc) as tokens,
               sum(recent.size_bytes) over (order by recent.position desc) as size_bytes
          from session, lateral (select position, role, tokens, size_bytes from gateway.chat_messages
                                  where session_id = session.id order by position desc limit 1000) as recent
         where recent.position > coalesce((select position from head), 0)),
    -- A turn begins with its question: an answer, or a tool's result, without what it answers is refused by providers.
    start as (
        select min(summed.position) as position from summed
         where summed.role = 'user' and summed.tokens <= p_token_budget - coalesce((select tokens from head), 0)
           and summed.size_bytes <= 4194304),
    chosen as (
        select message.position, message.message, message.tokens
          from session, start, gateway.chat_messages as message
         where message.session_id = session.id and message.position >= start.position
        union all
        select message.position, message.message, message.tokens
          from session, head, gateway.chat_messages as message
         where message.session_id = session.id and message.position = head.position)
    select jsonb_build_object(
               'session_id', session.id, 'model_id', session.model_id,
               'messages', coalesce((select jsonb_agg(message order by position) from chosen), '[]'),
               'tokens', (select coalesce(sum(tokens), 0) from chosen),
               'is_cut', session.messages > (select count(*) from chosen))
      from session
$$;
comment on function gateway.last_turns is
    'One statement: the newest turns of a session whose tokens are within the budget, a thousand messages and 4 MiB at most, oldest first, after the instructions that it begins with. Null where the account has no such session.';

create function api.read_chat_turns(p_caller jsonb, p_session_id bigint, p_token_budget int) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v       record;
    v_lacks text;
    v_turns jsonb;
begin
    select * into v from gateway.enter(p_caller);
    if v.refusal is not null then
        return v.refusal;
    end if;
    -- Whoever may ask a model what was said can read it, and what he asks is written there.
    select min(scope) into v_lacks from unnest('{history:read,history:write}'::text[]) as scope where scope <> all ((v.key).scopes);
    if v_lacks is not null then
        perform gateway.note_refusal(v.key, 'missing_scope', gateway.read_caller(p_caller));
        return gateway.refusal(403, 'missing_scope', jsonb_build_object('scope', v_lacks)) || gateway.policy_of(v.key);
    end if;
    v_turns := gateway.last_turns((v.key).account_id, p_session_id, p_token_budget);
    return coalesce(gateway.answer('turns', v.key, v_turns), gateway.no_session(v.key));
end $$;
comment on function api.read_chat_turns is
    'What stands before a request''s own messages, for a caller who may read and write history beside what his route asks for.';

create function gateway.superseded_generations(p_generation_id uuid) returns setof uuid
language sql stable
as $$
    with recursive earlier (id, depth) as (
        select id, 1 from gateway.holds where superseded_by = p_generation_id
        union all
        select hold.id, depth + 1 from earlier join gateway.holds as hold on hold.superseded_by = earlier.id where depth < 100)
    select id from earlier
$$;
comment on function gateway.superseded_generations is 'The requests whose process has died and in whose place this one came, and those before them.';

create function api.append_chat_turn(p_generation_id uuid, p_session_id bigint, p_messages jsonb, p_model_id text) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v_hold    gateway.holds;
    v_account gateway.accounts;
    v_session gateway.chat_sessions;
begin
    if (jsonb_array_length(p_messages) between 1 and 100) is not true then
        raise exception 'a turn has 1 to 100 messages' using errcode = 'invalid_parameter_value';
    end if;
    select * into v_hold from gateway.holds where id = p_generation_id;
    if not found then
        return gateway.refusal(404, 'unknown_hold');
    end if;
    select * into strict v_account from gateway.accounts where id = v_hold.account_id for no key update;
    if v_account.is_zero_retention then
        return jsonb_build_object('verdict', 'turn', 'outcome', 'not_kept');
    end if;
    if exists (select from gateway.chat_messages where generation_id = p_generation_id) then
        return jsonb_build_object('verdict', 'turn', 'outcome', 'stored_before');
    end if;
    -- Read again: it may have been given up while the account was waited for, and its retry leaves the turn.
    if exists (select from gateway.holds where id = p_generation_id and superseded_by is not null) then
        return jsonb_build_object('verdict', 'turn', 'outcome', 'superseded');
    end if;
    delete from gateway.chat_messages
     where account_id = v_account.id and generation_id in (select gateway.superseded_generations(p_generation_id));
    v_session := gateway.find_session(v_account.id, p_session_id);
    if v_session.id is null then
        return gateway.refusal(404, 'session_not_found');
    end if;
    return coalesce(gateway.add_messages(v_session, p_messages, p_model_id, p_generation_id, gateway.clock()),
                    jsonb_build_object('verdict', 'turn', 'outcome', 'stored'));
end $$;
comment on function api.append_chat_turn is
    'Puts a request''s new messages and its answer, [{message, tokens?}], at the end of a session of the account that pays for it: once for each generation, whoever asks again, together and in the order of the turns'' ends. Nothing of an account without retention, nothing of a request whose retry has taken its place.';

create function gateway.erase_session(p_session_id bigint, p_limit int) returns int
language plpgsql
as $$
declare
    v_count int;
begin
    delete from gateway.chat_messages
     where id in (select id from gateway.chat_messages where session_id = p_session_id order by position limit p_limit);
    get diagnostics v_count = row_count;
    delete from gateway.chat_sessions
     where id = p_session_id and not exists (select from gateway.chat_messages where session_id = p_session_id);
    return v_count;
end $$;
comment on function gateway.erase_session is 'Erases so many messages of a session, and the session with the last of them. The account is locked.';

create function api.erase_history(p_limit int default 1000) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v_session record;
    v_left    int := p_limit;
    v_count   int := 0;
begin
    for v_session in
        select id, account_id from gateway.chat_sessions where deleted_at is not null order by deleted_at limit 100
    loop
        -- One that is in use has its turn at the next call; the sweep waits for nobody.
        perform from gateway.accounts where id = v_session.account_id for no key update skip locked;
        if found then
            v_left := v_left - gateway.erase_session(v_session.id, v_left);
            v_count := v_count + 1;
        end if;
        exit when v_left <= 0;
    end loop;
    return jsonb_build_object('count', v_count + p_limit - v_left);
end $$;
comment on function api.erase_history is
    'Erases what was deleted longest ago: so many messages of a hundred sessions at most. A job calls it until the count is 0; run daily it keeps the promise of 30 days.';

create function gateway.erase_history_of(p_account_id bigint) returns void
language sql
as $$
    delete from gateway.chat_messages where account_id = p_account_id;
    delete from gateway.chat_sessions where account_id = p_account_id;
    delete from gateway.chat_usage where account_id = p_account_id;
$$;

create or replace function gateway.erase_kept_answers(p_account_id bigint) returns void
language sql
as $$
    -- The claims stay, so that a request that comes again is known and not paid for twice.
    update gateway.replays set answer = null, is_erased = true where account_id = p_account_id and answer is not null;
    delete from gateway.stored_responses where account_id = p_account_id;
    -- What completions have left in sessions; what somebody put there himself is his to delete.
    delete from gateway.chat_messages where account_id = p_account_id and generation_id is not null;
$$;
comment on function gateway.erase_kept_answers is 'Erases every answer of an account: for retries, for later requests, and in its chats.';

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
    select gateway.erase_history_of(p_account_id);
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
