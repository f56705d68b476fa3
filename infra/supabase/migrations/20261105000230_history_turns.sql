-- What a request with a session takes from it and leaves in it, and how history ends.

create function gateway.last_turns(p_account_id bigint, p_session_id bigint, p_token_budget int, p_without int[]) returns jsonb
language sql stable
as $$
    -- Each part is made once, and each reads no more than its limit, also where the planner takes every session for short.
    with session as materialized (
        select id, model_id, messages, hidden_through from gateway.chat_sessions
         where id = p_session_id and account_id = p_account_id and deleted_at is null),
    first_said as materialized (
        select said.position
          from session, lateral (select position from gateway.chat_messages
                                  where session_id = session.id and role not in ('system', 'developer')
                                    and (generation_position is null or position > session.hidden_through)
                                    and position <> all (p_without)
                                  order by position limit 1) as said),
    -- What the model was told first holds for all that follows, so it stays when older turns go.
    head as materialized (
        select summed.position, summed.tokens, summed.size_bytes, summed.number
          from (select first.position, row_number() over (order by first.position) as number,
                       sum(first.tokens) over (order by first.position) as tokens,
                       sum(first.size_bytes) over (order by first.position) as size_bytes
                  from session, lateral (select position, tokens, size_bytes from gateway.chat_messages
                                          where session_id = session.id
                                            and position < coalesce((select position from first_said), 2147483647)
                                            and (generation_position is null or position > session.hidden_through)
                                            and position <> all (p_without)
                                          order by position limit 1000) as first) as summed
         where summed.tokens <= p_token_budget and summed.size_bytes <= 4194304),
    taken as materialized (
        select coalesce(max(tokens), 0) as tokens, coalesce(max(size_bytes), 0) as size_bytes, coalesce(max(number), 0) as messages from head),
    summed as materialized (
        select recent.position, recent.role,
               row_number() over (order by recent.position desc) as messages,
               sum(recent.tokens) over (order by recent.position desc) as tokens,
               sum(recent.size_bytes) over (order by recent.position desc) as size_bytes
          from session, first_said, lateral (
               select position, role, tokens, size_bytes from gateway.chat_messages
                where session_id = session.id and position >= first_said.position
                  and (generation_position is null or position > session.hidden_through)
                  and position <> all (p_without)
                order by position desc limit 1000) as recent),
    -- Where older ones go, a turn begins with its question: an answer, or a tool's result, without what it answers is
    -- refused by providers.
    start as materialized (
        select min(summed.position) as position from summed, taken, first_said
         where (summed.role = 'user' or summed.position = first_said.position)
           and summed.tokens + taken.tokens <= p_token_budget
           and summed.size_bytes + taken.size_bytes <= 4194304 and summed.messages + taken.messages <= 1000),
    chosen as materialized (
        select last.position, last.message, last.tokens
          from session, start, lateral (
               select position, message, tokens from gateway.chat_messages
                where session_id = session.id and position >= start.position
                  and (generation_position is null or position > session.hidden_through)
                  and position <> all (p_without)
                order by position limit 1000) as last
        union all
        select first.position, first.message, first.tokens
          from session, head, lateral (
               select position, message, tokens from gateway.chat_messages
                where session_id = session.id and position = head.position limit 1) as first)
    select jsonb_build_object(
               'session_id', session.id, 'model_id', session.model_id,
               'messages', coalesce((select jsonb_agg(message order by position) from chosen), '[]'),
               'tokens', (select coalesce(sum(tokens), 0) from chosen),
               'is_cut', session.messages > (select count(*) from chosen) + cardinality(p_without))
      from session
$$;
comment on function gateway.last_turns is
    'One statement: a session, oldest first; where its tokens pass the budget, or it a thousand messages or 4 MiB, the newest turns that fit, after the instructions that it begins with. Null where the account has no such session. p_without: the places of what is left out.';

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

create function gateway.places_of_first_try(p_key_id bigint, p_session_id bigint, p_claim gateway.claim) returns int[]
language plpgsql stable
as $$
declare
    v_first_id uuid := (gateway.find_claim(p_key_id, p_claim, gateway.clock())).generation_id;
begin
    if v_first_id is null then
        return '{}';
    end if;
    return array(select message.position
                   from gateway.chat_messages as message join gateway.chat_sessions as session on session.id = message.session_id
                  where message.session_id = p_session_id and message.position > session.hidden_through
                    and message.generation_id in (select v_first_id union all select gateway.superseded_generations(v_first_id)));
end $$;
comment on function gateway.places_of_first_try is
    'Where the turn stands that a request left whose process died before it was paid for: its retry goes on from where it did, and takes its place.';

create function api.read_chat_turns(p_caller jsonb, p_session_id bigint, p_token_budget int, p_claim jsonb default null) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v       record;
    v_lacks text;
    v_turns jsonb;
    v_claim gateway.claim := gateway.read_claim(p_claim);
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
    v_turns := gateway.last_turns((v.key).account_id, p_session_id, p_token_budget,
                                  gateway.places_of_first_try((v.key).id, p_session_id, v_claim));
    return coalesce(gateway.answer('turns', v.key, v_turns), gateway.no_session(v.key));
end $$;
comment on function api.read_chat_turns is
    'What stands before a request''s own messages, for a caller who may read and write history beside what his route asks for.';

create function gateway.without_instructions(p_messages jsonb) returns jsonb
language sql immutable
as $$
    select coalesce(jsonb_agg(value order by number), '[]')
      from jsonb_array_elements(p_messages) with ordinality as given (value, number)
     where number >= (select min(number) from jsonb_array_elements(p_messages) with ordinality as each (value, number)
                       where each.value -> 'message' ->> 'role' not in ('system', 'developer'))
$$;

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
    -- Another first turn may have ended meanwhile, and instructions stand at a session's head alone.
    if v_session.messages > 0 then
        p_messages := gateway.without_instructions(p_messages);
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
    v_session gateway.chat_sessions;
    v_count   int;
begin
    select * into v_session from gateway.chat_sessions where id = p_session_id;
    delete from gateway.chat_messages
     where id in (select id from gateway.chat_messages
                   where session_id = p_session_id
                     and (v_session.deleted_at is not null or generation_position is not null and position <= v_session.hidden_through)
                   order by position limit p_limit);
    get diagnostics v_count = row_count;
    if v_count = p_limit then
        return v_count;
    end if;
    if v_session.deleted_at is null then
        update gateway.chat_sessions set hidden_through = 0, erasable_since = null where id = p_session_id;
    else
        delete from gateway.chat_sessions where id = p_session_id;
        delete from gateway.chat_usage where account_id = v_session.account_id and sessions = 0;
    end if;
    return v_count;
end $$;
comment on function gateway.erase_session is
    'Erases so many messages that nobody sees any more of a session, and with the last of them what says so: the session, where it was deleted. The account is locked.';

create function api.erase_history(p_limit int default 1000) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    -- One that is in use has its turn at the next call: the sweep waits for nobody, and goes on to the others.
    v_due cursor for
        select session.id from gateway.chat_sessions as session join gateway.accounts as account on account.id = session.account_id
         where session.erasable_since is not null order by session.erasable_since, session.id
           for no key update of account skip locked;
    v_id       bigint;
    v_left     int := p_limit;
    v_sessions int := 0;
begin
    open v_due;
    loop
        fetch v_due into v_id;
        exit when not found;
        -- Another sweep may have been here meanwhile.
        perform from gateway.chat_sessions where id = v_id and erasable_since is not null;
        if found then
            v_left := v_left - gateway.erase_session(v_id, v_left);
            v_sessions := v_sessions + 1;
        end if;
        exit when v_left <= 0 or v_sessions >= 100;
    end loop;
    close v_due;
    return jsonb_build_object('count', v_sessions + p_limit - v_left);
end $$;
comment on function api.erase_history is
    'Erases what has been seen by nobody for longest: so many messages of a hundred sessions at most. A job calls it until the count is 0, when nothing is left but of accounts that are in use; run daily it keeps the promise of 30 days.';

create function gateway.hide_history(p_account_id bigint, p_now timestamptz) returns void
language sql
as $$
    update gateway.chat_sessions
       set deleted_at = coalesce(deleted_at, p_now), erasable_since = coalesce(erasable_since, p_now), title = null, model_id = null
     where account_id = p_account_id;
$$;
comment on function gateway.hide_history is 'Deletes all sessions of an account: a request has no time to erase what one may store.';

create function gateway.hide_completions(p_account_id bigint, p_now timestamptz) returns void
language sql
as $$
    update gateway.chat_sessions as session
       set hidden_through = last_position, erasable_since = coalesce(erasable_since, p_now), messages = own.messages, tokens = own.tokens
      from (select session_id, count(*) filter (where generation_position is null) as messages,
                   coalesce(sum(tokens) filter (where generation_position is null), 0) as tokens
              from gateway.chat_messages where account_id = p_account_id
             group by session_id having count(generation_position) > 0) as own
     where session.id = own.session_id and session.account_id = p_account_id;
$$;
comment on function gateway.hide_completions is
    'Hides what completions have left in the sessions of an account, for gateway.erase_session; what somebody put there himself is his to delete.';

create or replace function gateway.erase_kept_answers(p_account_id bigint) returns void
language sql
as $$
    -- The claims stay, so that a request that comes again is known and not paid for twice.
    update gateway.replays set answer = null, is_erased = true where account_id = p_account_id and answer is not null;
    delete from gateway.stored_responses where account_id = p_account_id;
    select gateway.hide_completions(p_account_id, gateway.clock());
$$;
comment on function gateway.erase_kept_answers is
    'Erases every answer of an account, for retries and for later requests; those in its chats are seen by nobody from here on.';

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
    select gateway.hide_history(p_account_id, p_now);
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
