-- What was given up after every try, for a person to look at.
create table gateway.dead_letters (
    id          bigint generated always as identity primary key,
    kind        text not null check (kind in ('late_settlement')),
    subject     text not null,
    payload     jsonb not null,
    reason      text not null,
    tries       int not null check (tries >= 0),
    created_at  timestamptz not null default now(),
    resolved_at timestamptz,
    unique (kind, subject)
);
comment on table gateway.dead_letters is
    'A record that no try could bring to its end. subject: what it is about, a generation id for a late settlement. Never holds a prompt or an answer.';
alter table gateway.dead_letters enable row level security;

create function api.add_dead_letter(p_kind text, p_subject text, p_payload jsonb, p_reason text, p_tries int) returns jsonb
language sql security definer set search_path = ''
as $$
    insert into gateway.dead_letters as letter (kind, subject, payload, reason, tries, created_at)
    values (p_kind, p_subject, p_payload, p_reason, p_tries, gateway.clock())
    on conflict (kind, subject) do update set reason = excluded.reason, tries = excluded.tries, resolved_at = null
    returning jsonb_build_object('id', letter.id)
$$;
comment on function api.add_dead_letter is
    'Keeps a record that was given up. The same one again keeps its row and what it held first, takes the new reason and count, and stands open again.';

create function api.read_dead_letters(p_limit int default 100) returns jsonb
language sql stable security definer set search_path = ''
as $$
    select coalesce(jsonb_agg(jsonb_build_object(
               'id', letter.id, 'kind', letter.kind, 'subject', letter.subject, 'payload', letter.payload, 'reason', letter.reason,
               'tries', letter.tries, 'created_at', letter.created_at, 'resolved_at', letter.resolved_at)
               order by letter.resolved_at is not null, letter.id), '[]')
      from (select id, kind, subject, payload, reason, tries, created_at, resolved_at from gateway.dead_letters
             order by resolved_at is not null, id limit p_limit) as letter
$$;
comment on function api.read_dead_letters is 'The records that were given up: those that still stand first, oldest first.';
