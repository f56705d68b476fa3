-- Sessions and messages as their owners make, see, change and delete them.

create function gateway.no_session(p_key gateway.api_keys) returns jsonb
language sql stable
as $$ select gateway.refusal(404, 'session_not_found') || gateway.policy_of(p_key) $$;

create function api.create_chat_session(p_caller jsonb, p_settings jsonb, p_receipt jsonb) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v         record;
    v_earlier jsonb;
    v_most    int := (gateway.chat_bounds()).sessions;
    v_session gateway.chat_sessions;
    v_answer  jsonb;
begin
    select * into v from gateway.enter_locked(p_caller, p_takes_account => true, p_takes_wallet => false);
    if v.refusal is not null then
        return v.refusal;
    end if;
    v_earlier := gateway.find_receipt((v.key).account_id, p_receipt);
    if v_earlier is not null then
        return coalesce((v_earlier -> 'result') || '{"is_replayed": true}', v_earlier) || gateway.policy_of(v.key);
    end if;
    if (select sessions from gateway.chat_usage where account_id = (v.key).account_id) >= v_most then
        return gateway.refusal(409, 'too_many_sessions', jsonb_build_object('limit', v_most)) || gateway.policy_of(v.key);
    end if;
    insert into gateway.chat_sessions (account_id, title, model_id, updated_at, created_at)
    values ((v.key).account_id, p_settings ->> 'title', p_settings ->> 'model_id', v.at, v.at)
    returning * into v_session;
    v_answer := jsonb_build_object('verdict', 'session', 'session', gateway.session_view(v_session));
    perform gateway.keep_receipt((v.key).account_id, p_receipt, v_answer);
    return v_answer || gateway.policy_of(v.key);
end $$;
comment on function api.create_chat_session is 'Begins a conversation of the caller''s account; p_settings: {title, model_id}, both may be null.';

create function api.list_chat_sessions(p_caller jsonb, p_limit int, p_before bigint default null) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v record;
begin
    select * into v from gateway.enter(p_caller);
    if v.refusal is not null then
        return v.refusal;
    end if;
    return (
        select gateway.answer('sessions', v.key, jsonb_build_object(
                   'sessions', coalesce(jsonb_agg(gateway.session_view(page) order by page.id desc), '[]')))
          from (select * from gateway.chat_sessions
                 where account_id = (v.key).account_id and deleted_at is null and id < coalesce(p_before, 9223372036854775807)
                 order by id desc limit p_limit) as page);
end $$;
comment on function api.list_chat_sessions is 'The account''s conversations, newest first; p_before is the id where the last page ended.';

create function gateway.session_page(p_session gateway.chat_sessions, p_limit int, p_after int) returns jsonb
language sql stable
as $$
    -- As many as a response on any platform carries, and one at least.
    with found as (select * from gateway.chat_messages
                    where session_id = p_session.id and position > coalesce(p_after, 0)
                      and (generation_position is null or position > p_session.hidden_through) order by position limit p_limit + 1),
         shown as (select * from (select id, row_number() over (order by position) as number,
                                         sum(size_bytes) over (order by position) as size_bytes from found) as summed
                    where number = 1 or number <= p_limit and summed.size_bytes <= 2097152)
    select jsonb_build_object(
               'page', coalesce(jsonb_agg(gateway.message_view(found) order by found.position) filter (where shown.id is not null), '[]'),
               'next_after', case when count(*) > count(shown.id) then max(found.position) filter (where shown.id is not null) end)
      from found left join shown on shown.id = found.id
$$;

create function api.read_chat_session(p_caller jsonb, p_session_id bigint, p_limit int, p_after int default null) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v         record;
    v_session gateway.chat_sessions;
begin
    select * into v from gateway.enter(p_caller);
    if v.refusal is not null then
        return v.refusal;
    end if;
    v_session := gateway.find_session((v.key).account_id, p_session_id);
    if v_session.id is null then
        return gateway.no_session(v.key);
    end if;
    return gateway.answer('session_read', v.key, jsonb_build_object('session', gateway.session_view(v_session))
                                                 || gateway.session_page(v_session, p_limit, p_after));
end $$;
comment on function api.read_chat_session is
    'A conversation with a page of its messages in their order, 2 MiB at most; next_after is the place where the next page begins, null at the end.';

create function api.update_chat_session(p_caller jsonb, p_session_id bigint, p_changes jsonb) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v         record;
    v_session gateway.chat_sessions;
begin
    select * into v from gateway.enter_locked(p_caller, p_takes_account => true, p_takes_wallet => false);
    if v.refusal is not null then
        return v.refusal;
    end if;
    update gateway.chat_sessions
       set title = case when p_changes ? 'title' then p_changes ->> 'title' else title end,
           model_id = case when p_changes ? 'model_id' then p_changes ->> 'model_id' else model_id end,
           updated_at = v.at
     where id = p_session_id and account_id = (v.key).account_id and deleted_at is null
    returning * into v_session;
    if not found then
        return gateway.no_session(v.key);
    end if;
    return gateway.answer('session', v.key, jsonb_build_object('session', gateway.session_view(v_session)));
end $$;
comment on function api.update_chat_session is 'Changes title and model_id, those that are named; null takes one away.';

create function api.delete_chat_session(p_caller jsonb, p_session_id bigint) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v record;
begin
    select * into v from gateway.enter_locked(p_caller, p_takes_account => true, p_takes_wallet => false);
    if v.refusal is not null then
        return v.refusal;
    end if;
    update gateway.chat_sessions set deleted_at = coalesce(deleted_at, v.at), erasable_since = coalesce(erasable_since, v.at)
     where id = p_session_id and account_id = (v.key).account_id;
    if not found then
        return gateway.no_session(v.key);
    end if;
    return gateway.answer('session_deleted', v.key, '{}');
end $$;
comment on function api.delete_chat_session is
    'Hides a conversation from its owner at once and for good; api.erase_history takes it away. Again is harmless until then.';

create function api.add_chat_message(p_caller jsonb, p_session_id bigint, p_message jsonb, p_model_id text, p_receipt jsonb) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v         record;
    v_earlier jsonb;
    v_session gateway.chat_sessions;
    v_refusal jsonb;
    v_message gateway.chat_messages;
begin
    select * into v from gateway.enter_locked(p_caller, p_takes_account => true, p_takes_wallet => false);
    if v.refusal is not null then
        return v.refusal;
    end if;
    v_earlier := gateway.find_receipt((v.key).account_id, p_receipt);
    if v_earlier ->> 'verdict' = 'refused' then
        return v_earlier || gateway.policy_of(v.key);
    end if;
    v_session := gateway.find_session((v.key).account_id, p_session_id);
    if v_session.id is null then
        return gateway.no_session(v.key);
    end if;
    if v_earlier is null then
        v_refusal := gateway.add_messages(v_session, jsonb_build_array(jsonb_build_object('message', p_message)), p_model_id, null, v.at);
        if v_refusal is not null then
            return v_refusal || gateway.policy_of(v.key);
        end if;
    end if;
    -- A receipt names the message and does not repeat it: it would outlive it.
    select * into strict v_message from gateway.chat_messages
     where session_id = v_session.id
       and position = coalesce((v_earlier -> 'result' ->> 'position')::int, v_session.last_position + 1);
    if v_earlier is null then
        perform gateway.keep_receipt((v.key).account_id, p_receipt, jsonb_build_object('position', v_message.position));
    end if;
    return gateway.answer('message', v.key, jsonb_build_object('message', gateway.message_view(v_message),
                                                               'is_replayed', v_earlier is not null));
end $$;
comment on function api.add_chat_message is 'Puts a message at the end of a conversation, once for each receipt.';

create function api.read_chat_stats(p_caller jsonb) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v        record;
    v_models jsonb;
    v_totals record;
begin
    select * into v from gateway.enter(p_caller);
    if v.refusal is not null then
        return v.refusal;
    end if;
    select count(*) as sessions, coalesce(sum(messages), 0) as messages, coalesce(sum(tokens), 0) as tokens into v_totals
      from gateway.chat_sessions where account_id = (v.key).account_id and deleted_at is null;
    select coalesce(jsonb_agg(jsonb_build_object('model_id', model_id, 'messages', messages, 'tokens', tokens)
                              order by tokens desc, model_id), '[]') into v_models
      from (select message.model_id, count(*) as messages, sum(message.tokens) as tokens
              from gateway.chat_messages as message
              join gateway.chat_sessions as session on session.id = message.session_id and session.account_id = message.account_id
             where message.account_id = (v.key).account_id and session.account_id = (v.key).account_id and session.deleted_at is null
               and (message.generation_position is null or message.position > session.hidden_through)
             group by message.model_id order by tokens desc, message.model_id limit 100) as used;
    return gateway.answer('stats', v.key, to_jsonb(v_totals) || jsonb_build_object('models', v_models));
end $$;
comment on function api.read_chat_stats is 'What the account''s conversations have in all, and by model: the hundred with most tokens; model_id is null for messages of none.';
