-- Messages found by their words, the caller's own alone.

create function gateway.found_message(p_message gateway.chat_messages, p_session gateway.chat_sessions, p_query text) returns jsonb
language sql immutable
as $$
    select jsonb_build_object(
        'id', p_message.id, 'session_id', p_message.session_id, 'title', p_session.title, 'role', p_message.role,
        'model_id', p_message.model_id, 'created_at', p_message.created_at,
        'snippet', gateway.snippet(gateway.message_text(p_message.message), p_query))
$$;

create function api.search_chat(p_caller jsonb, p_query text, p_limit int, p_before bigint default null) returns jsonb
-- Planned for each query: of a word in every message, and of one in three of a million, the way is another one.
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_custom_plan
as $$
declare
    v       record;
    v_words tsquery := gateway.search_query(p_query);
    v_own   tsquery;
    v_found jsonb;
begin
    select * into v from gateway.enter(p_caller);
    if v.refusal is not null then
        return v.refusal;
    end if;
    v_own := format('%L', gateway.account_lexeme((v.key).account_id))::tsquery && v_words;
    select coalesce(jsonb_agg(gateway.found_message(hit, session, p_query) order by hit.id desc), '[]') into v_found
      from (select candidate.* from gateway.chat_messages as candidate
              join gateway.chat_sessions as its on its.id = candidate.session_id and its.deleted_at is null
               and (candidate.generation_position is null or candidate.position > its.hidden_through)
             -- Without a word nothing is asked for.
             where numnode(v_words) > 0 and candidate.search @@ v_own and candidate.account_id = (v.key).account_id
               and candidate.id < coalesce(p_before, 9223372036854775807)
             order by candidate.id desc limit p_limit) as hit
      join gateway.chat_sessions as session on session.id = hit.session_id;
    return gateway.answer('found', v.key, jsonb_build_object('messages', v_found));
end $$;
comment on function api.search_chat is
    'The account''s messages that have these words, newest first: all words, "a phrase", either or, -not. p_before is the id where the last page ended.';
