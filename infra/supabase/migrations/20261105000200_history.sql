-- What people keep of their chats: sessions and their messages, one account's each, found by their words.
--
-- Whoever writes here has the account locked, and after it the session and the count; so no two writers wait for each other,
-- and the messages of a session have one order.

create table gateway.chat_sessions (
    id              bigint generated always as identity primary key,
    account_id      bigint not null references gateway.accounts,
    title           text check (length(title) between 1 and 200),
    model_id        text check (length(model_id) between 1 and 200),
    messages        int not null default 0 check (messages >= 0),
    tokens          bigint not null default 0 check (tokens >= 0),
    last_position   int not null default 0 check (last_position >= 0),
    hidden_through  int not null default 0 check (hidden_through between 0 and last_position),
    updated_at      timestamptz not null default now(),
    deleted_at      timestamptz,
    erasable_since  timestamptz,
    created_at      timestamptz not null default now(),
    check (erasable_since is not null or (deleted_at is null and hidden_through = 0))
) with (fillfactor = 80);
comment on table gateway.chat_sessions is
    'A conversation of an account; messages and tokens: of what its owner sees. deleted_at: he sees it no more. erasable_since: gateway.erase_session takes away within 30 days what he sees no more.';
comment on column gateway.chat_sessions.hidden_through is 'What completions have left up to this place is seen by nobody; what its owner put there is.';
comment on column gateway.chat_sessions.last_position is 'The place of its newest message. Places are given once, also when what stood there is gone.';
create index chat_sessions_by_account on gateway.chat_sessions (account_id, id);
create index chat_sessions_to_erase on gateway.chat_sessions (erasable_since, id) where erasable_since is not null;

create table gateway.chat_messages (
    id                  bigint generated always as identity primary key,
    account_id          bigint not null references gateway.accounts,
    session_id          bigint not null references gateway.chat_sessions,
    position            int not null,
    message             jsonb not null,
    role                text not null generated always as (message ->> 'role') stored
                        check (role in ('system', 'developer', 'user', 'assistant', 'tool')),
    model_id            text check (length(model_id) between 1 and 200),
    tokens              int not null check (tokens >= 0),
    size_bytes          int not null generated always as (octet_length(message::text)) stored check (size_bytes <= 262144),
    generation_id       uuid,
    generation_position int,
    search              tsvector not null generated always as (gateway.search_vector(account_id, message)) stored,
    created_at          timestamptz not null default now(),
    unique (session_id, position),
    unique (generation_id, generation_position),
    check ((generation_id is null) = (generation_position is null))
);
comment on table gateway.chat_messages is
    'A message of a conversation as the chat dialect has it. generation_id: it was stored by that request, and not by its owner''s own POST; no reference, since it may outlive the ledger''s own row. Written once, never changed.';
comment on column gateway.chat_messages.tokens is 'As its provider counted, or gateway.estimate_tokens.';
create index chat_messages_by_words on gateway.chat_messages using gin (search);
-- All that the sums of an account are made of.
create index chat_messages_by_account on gateway.chat_messages (account_id, model_id) include (session_id, tokens, position, generation_position);
create index holds_superseding on gateway.holds (superseded_by) where superseded_by is not null;

create table gateway.chat_usage (
    account_id bigint primary key references gateway.accounts,
    sessions   int not null default 0 check (sessions >= 0),
    messages   int not null default 0 check (messages >= 0),
    size_bytes bigint not null default 0 check (size_bytes >= 0),
    created_at timestamptz not null default now()
) with (fillfactor = 70);
comment on table gateway.chat_usage is 'What an account has stored, that included which is deleted and not erased yet: it has bounds.';

alter table gateway.chat_sessions enable row level security;
alter table gateway.chat_messages enable row level security;
alter table gateway.chat_usage enable row level security;

create function gateway.count_chat_messages() returns trigger
language plpgsql
as $$
declare
    v_sign int := case tg_op when 'INSERT' then 1 else -1 end;
begin
    update gateway.chat_sessions as session
       set messages = session.messages + v_sign * sums.messages, tokens = session.tokens + v_sign * sums.tokens
      from (select session_id, count(*)::int as messages, sum(changed.tokens) as tokens
              from changed join gateway.chat_sessions as its on its.id = session_id
             where generation_position is null or position > its.hidden_through group by session_id) as sums
     where session.id = sums.session_id;
    insert into gateway.chat_usage as usage (account_id, messages, size_bytes)
    select account_id, count(*), sum(size_bytes) from changed where tg_op = 'INSERT' group by account_id
        on conflict (account_id) do update
       set messages = usage.messages + excluded.messages, size_bytes = usage.size_bytes + excluded.size_bytes;
    update gateway.chat_usage as usage
       set messages = usage.messages - sums.messages, size_bytes = usage.size_bytes - sums.size_bytes
      from (select account_id, count(*)::int as messages, sum(size_bytes) as size_bytes
              from changed where tg_op = 'DELETE' group by account_id) as sums
     where usage.account_id = sums.account_id;
    return null;
end $$;
create trigger count_added_messages after insert on gateway.chat_messages
    referencing new table as changed for each statement execute function gateway.count_chat_messages();
create trigger count_erased_messages after delete on gateway.chat_messages
    referencing old table as changed for each statement execute function gateway.count_chat_messages();

create function gateway.count_chat_sessions() returns trigger
language plpgsql
as $$
begin
    insert into gateway.chat_usage as usage (account_id, sessions)
    select account_id, count(*) from changed where tg_op = 'INSERT' group by account_id
        on conflict (account_id) do update set sessions = usage.sessions + excluded.sessions;
    update gateway.chat_usage as usage set sessions = usage.sessions - sums.sessions
      from (select account_id, count(*)::int as sessions from changed where tg_op = 'DELETE' group by account_id) as sums
     where usage.account_id = sums.account_id;
    return null;
end $$;
create trigger count_added_sessions after insert on gateway.chat_sessions
    referencing new table as changed for each statement execute function gateway.count_chat_sessions();
create trigger count_erased_sessions after delete on gateway.chat_sessions
    referencing old table as changed for each statement execute function gateway.count_chat_sessions();

create type gateway.chat_bounds as (sessions int, messages int, size_bytes bigint, session_messages int, message_bytes int);
create function gateway.chat_bounds() returns gateway.chat_bounds
language sql immutable
as $$ select row(10000, 200000, 268435456, 10000, 262144)::gateway.chat_bounds $$;
comment on function gateway.chat_bounds is
    'The most that an account may store: sessions, messages and their bytes in all, messages of a session, bytes of a message.';

create function gateway.without_addresses(p_message jsonb) returns jsonb
language sql immutable
as $$
    select case jsonb_typeof(p_message -> 'content') when 'array' then
               jsonb_set(p_message, '{content}', (
                   select coalesce(jsonb_agg(case jsonb_typeof(part -> 'image_url')
                                             when 'object' then part #- '{image_url,url}' when 'string' then part - 'image_url' else part end), '[]')
                     from jsonb_array_elements(p_message -> 'content') as part))
           else p_message end
$$;

create function gateway.estimate_tokens(p_message jsonb) returns int
language sql stable
as $$
    with value as (select found from jsonb_path_query(gateway.without_addresses(p_message), 'strict $.**') as found),
    said as (
        select found #>> '{}' as text, 0 as between_bytes from value where jsonb_typeof(found) in ('string', 'number')
        union all
        select key, 4 from value, jsonb_object_keys(case jsonb_typeof(found) when 'object' then found else '{}' end) as key
        union all
        select '', 4 * jsonb_array_length(found) from value where jsonb_typeof(found) = 'array'),
    weight as (
        select coalesce(sum(octet_length(text) + between_bytes), 0) as bytes,
               coalesce(sum(octet_length(text) - octet_length(translate(text, '!"#$%&''()*+,-./0123456789:;<=>?@[\]^_`{|}~', ''))), 0) as dense
          from said)
    select 16 + dense + (bytes - dense + 1) / 2
         + (select count(*) from jsonb_path_query(p_message, 'lax $.content[*].image_url ? (@ != null)'))
           * greatest(1600, (select max(image_input_tokens) from gateway.models where is_enabled))
      from weight
$$;
comment on function gateway.estimate_tokens is
    'From above, as shared/providers/request_counts.py has it of a request: two bytes a token, digits and punctuation one each; an image as the model that counts most for it.';

create function gateway.session_view(p_session gateway.chat_sessions) returns jsonb
language sql immutable
as $$
    select jsonb_build_object('id', p_session.id, 'title', p_session.title, 'model_id', p_session.model_id,
                              'messages', p_session.messages, 'tokens', p_session.tokens,
                              'created_at', p_session.created_at, 'updated_at', p_session.updated_at)
$$;

create function gateway.message_view(p_message gateway.chat_messages) returns jsonb
language sql immutable
as $$
    select jsonb_build_object('id', p_message.id, 'session_id', p_message.session_id, 'message', p_message.message,
                              'model_id', p_message.model_id, 'tokens', p_message.tokens,
                              'generation_id', p_message.generation_id, 'created_at', p_message.created_at)
$$;

create function gateway.find_session(p_account_id bigint, p_session_id bigint) returns gateway.chat_sessions
language sql stable
as $$ select * from gateway.chat_sessions where id = p_session_id and account_id = p_account_id and deleted_at is null $$;
comment on function gateway.find_session is 'Null for one that is deleted or another account''s, as for one that never was.';

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

create function gateway.add_messages(
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
comment on function gateway.add_messages is
    'Puts messages, [{message, tokens?}], at the end of a session, or says which bound they pass. The account is locked, and the session read after that.';
