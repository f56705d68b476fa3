-- Who did what: sign-ins, changes of keys, money and accounts, and keys that were used where or for what they may not be.

create table gateway.audit_log (
    id         bigint generated always as identity primary key,
    account_id bigint,
    actor      text not null check (actor in ('user', 'key', 'admin', 'system', 'stripe')),
    key_id     bigint,
    event      text not null check (event ~ '^[a-z]+(_[a-z]+)+$'),
    subject    text,
    details    jsonb not null default '{}',
    address    inet,
    request_id text,
    hour       timestamptz,
    created_at timestamptz not null default now()
);
-- No foreign keys: checking one locks the account's row, and lines are written under the wallet's lock, which comes after it.
comment on table gateway.audit_log is
    'Append-only; where someone was is forgotten when his account is deleted. event: noun_verb, such as key_created. key_id: the key that acted; subject: what it acted on. A key that is refused again and again leaves one line an hour for each event.';
comment on column gateway.audit_log.hour is 'Of events that are written once an hour for a key.';
create index audit_log_by_account on gateway.audit_log (account_id, id);
create unique index audit_log_by_hour on gateway.audit_log (key_id, event, hour) where hour is not null;
alter table gateway.audit_log enable row level security;
create trigger audit_log_append_only before delete or truncate on gateway.audit_log
    for each statement execute function gateway.refuse_change();

create function gateway.refuse_rewriting() returns trigger
language plpgsql
as $$
declare
    v_forgotten gateway.audit_log := old;
begin
    v_forgotten.address := null;
    v_forgotten.details := old.details - 'origin_host';
    if new is distinct from v_forgotten then
        raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation';
    end if;
    return new;
end $$;
create trigger audit_log_is_not_rewritten before update on gateway.audit_log
    for each row execute function gateway.refuse_rewriting();

create function gateway.forget_whereabouts(p_account_id bigint) returns void
language sql
as $$
    update gateway.audit_log set address = null, details = details - 'origin_host'
     where account_id = p_account_id and (address is not null or details ? 'origin_host')
$$;
comment on function gateway.forget_whereabouts is
    'Takes from an account''s lines where its owner was; what was done, when and by which key stays. The one change that the log allows.';

create function gateway.write_audit(
    p_account_id bigint, p_actor text, p_key_id bigint, p_event text, p_subject text, p_details jsonb, p_caller gateway.caller
) returns void
language sql
as $$
    insert into gateway.audit_log (account_id, actor, key_id, event, subject, details, address, request_id, created_at)
    values (p_account_id, p_actor, p_key_id, p_event, p_subject, coalesce(p_details, '{}'), p_caller.address, p_caller.request_id,
            gateway.clock())
$$;

create function gateway.note_refusal(p_key gateway.api_keys, p_code text, p_caller gateway.caller) returns void
language plpgsql
as $$
declare
    v_event text := case p_code when 'address_not_allowed' then 'address_refused' when 'domain_not_allowed' then 'domain_refused'
                                when 'account_suspended' then 'account_refused' when 'missing_scope' then 'scope_refused'
                                when 'key_exceeds_yours' then 'escalation_refused' end;
    v_now   timestamptz := gateway.clock();
    v_hour  timestamptz := date_trunc('hour', v_now, 'UTC');
begin
    -- Looked for first, since a line that meets another one has used up an id.
    if v_event is null
       or exists (select from gateway.audit_log where key_id = p_key.id and event = v_event and hour = v_hour) then
        return;
    end if;
    insert into gateway.audit_log (account_id, actor, key_id, event, details, address, request_id, hour, created_at)
    values (p_key.account_id, case p_key.kind when 'session' then 'user' else 'key' end, p_key.id, v_event,
            jsonb_strip_nulls(jsonb_build_object('scope', p_caller.scope, 'origin_host', left(p_caller.origin_host, 253))),
            p_caller.address, p_caller.request_id, v_hour, v_now)
    on conflict (key_id, event, hour) where hour is not null do nothing;
end $$;
comment on function gateway.note_refusal is 'Writes down that a key was used where it may not be, or for what it may not do, once an hour for each key and event.';

create function gateway.write_credit_audit(p_account_id bigint, p_kind text, p_source text, p_credited jsonb) returns void
language sql
as $$
    select gateway.write_audit(p_account_id, case p_kind when 'admin' then 'admin' else 'stripe' end, null, 'credit_changed', p_source,
                               jsonb_build_object('kind', p_kind, 'moved_nanos', p_credited -> 'moved_nanos',
                                                  'owed_nanos', p_credited -> 'owed_nanos'), null)
     where p_kind in ('admin', 'purchase', 'refund', 'dispute')
$$;

create or replace function api.credit_account(
    p_account_id      bigint,
    p_amount_nanos    bigint,
    p_kind            text,
    p_idempotency_key text,
    p_source          text default null,
    p_live_from       timestamptz default null,
    p_expires_at      timestamptz default null
) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v_now    timestamptz;
    v_lot_id bigint;
    v_key    text := 'credit:' || p_account_id || ':' || p_idempotency_key;
    v_moved  bigint;
    v_owed   bigint;
    v_lines  int;
    v_answer jsonb;
begin
    if p_amount_nanos = 0 or p_amount_nanos is null then
        return gateway.refusal(400, 'zero_amount');
    end if;
    v_now := gateway.lock_wallet(p_account_id);
    if v_now is null then
        return gateway.refusal(404, 'unknown_account');
    end if;
    perform gateway.bring_to_time(p_account_id, v_now);

    select count(*), coalesce(sum(case when credit_account = p_account_id then amount_nanos
                                       when debit_account = p_account_id then -amount_nanos else 0 end), 0),
           coalesce(sum(amount_nanos) filter (where kind = 'owed'), 0)
      into v_lines, v_moved, v_owed
      from gateway.transfers where idempotency_key = v_key;
    if v_lines > 0 then
        if v_moved - v_owed <> p_amount_nanos then
            return gateway.refusal(409, 'idempotency_key_reused', jsonb_build_object('amount_nanos', v_moved - v_owed));
        end if;
        return jsonb_build_object('verdict', 'credited', 'moved_nanos', v_moved, 'owed_nanos', v_owed, 'is_repeated', true);
    end if;

    if p_amount_nanos > 0 and exists (select from gateway.accounts where id = p_account_id and status = 'deleted') then
        -- Nobody is left who could spend it; who has paid is given his payment back.
        return gateway.refusal(409, 'account_deleted');
    end if;
    if p_amount_nanos < 0 then
        v_answer := gateway.take_back(p_account_id, -p_amount_nanos, p_kind, v_key, p_source, v_now);
        perform gateway.write_credit_audit(p_account_id, p_kind, p_source, v_answer);
        return v_answer;
    end if;
    insert into gateway.lots (account_id, kind, source, amount_nanos, remaining_nanos, live_from, expires_at, created_at)
    values (p_account_id, p_kind, p_source, p_amount_nanos, p_amount_nanos, p_live_from, p_expires_at, v_now)
    returning id into v_lot_id;
    perform gateway.post(v_key, 1, gateway.counterparty(p_kind), p_account_id, p_amount_nanos, p_kind, v_lot_id, null, v_now);
    update gateway.wallets set posted_nanos = posted_nanos + p_amount_nanos where account_id = p_account_id;
    perform gateway.bring_to_time(p_account_id, v_now);
    v_answer := jsonb_build_object('verdict', 'credited', 'moved_nanos', p_amount_nanos, 'owed_nanos', 0, 'is_repeated', false,
                                   'lot_id', v_lot_id);
    perform gateway.write_credit_audit(p_account_id, p_kind, p_source, v_answer);
    return v_answer;
end $$;
comment on function api.credit_account is
    'Adds a lot (amount > 0) or takes credit back (amount < 0), once per idempotency key of the account; the same key with another amount is refused, and so is credit for an account that is deleted.';
