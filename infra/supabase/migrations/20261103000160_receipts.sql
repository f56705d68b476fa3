-- A change that comes again under its Idempotency-Key is answered as the first time, and made once.

create table gateway.receipts (
    account_id   bigint not null references gateway.accounts,
    key_hmac     text not null,
    body_hmac    text not null,
    route        text not null,
    result       jsonb not null,
    sealed       text,
    sealed_until timestamptz,
    expires_at   timestamptz not null,
    created_at   timestamptz not null default now(),
    primary key (account_id, key_hmac),
    check (sealed is null or sealed_until is not null)
);
comment on table gateway.receipts is
    'What a change answered, for a day. sealed: the part that is shown once, such as a new secret; kept for ten minutes, for a client whose connection broke.';
create index receipts_by_expiry on gateway.receipts (expires_at);
create index receipts_by_seal on gateway.receipts (sealed_until) where sealed is not null;
alter table gateway.receipts enable row level security;

create type gateway.receipt as (key_hmacs text[], body_hmacs text[], route text, sealed text);
comment on type gateway.receipt is
    'How a change is known when it comes again. Both lists have one entry per secret, newest first; sealed is what only the first answers show.';

create function gateway.read_receipt(p_receipt jsonb) returns gateway.receipt
language plpgsql immutable
as $$
declare
    v_receipt gateway.receipt := jsonb_populate_record(null::gateway.receipt, p_receipt);
begin
    -- One without its hash would be known again by nothing, or by everything.
    if (cardinality(v_receipt.key_hmacs) > 0 and array_position(v_receipt.key_hmacs, null) is null
        and cardinality(v_receipt.body_hmacs) > 0 and array_position(v_receipt.body_hmacs, null) is null
        and v_receipt.route is not null) is not true then
        raise exception 'a receipt has its hashes and its route' using errcode = 'invalid_parameter_value';
    end if;
    return v_receipt;
end $$;

create function gateway.find_receipt(p_account_id bigint, p_receipt jsonb) returns jsonb
language plpgsql
as $$
declare
    v_asked gateway.receipt;
    v_found gateway.receipts;
    v_now   timestamptz;
begin
    if coalesce(p_receipt, 'null') = 'null' then
        return null;
    end if;
    v_asked := gateway.read_receipt(p_receipt);
    -- Of two at once the second waits here until the first is done, and reads after it what the first has left.
    perform from gateway.accounts where id = p_account_id for no key update;
    v_now := gateway.clock();
    select * into v_found from gateway.receipts
     where account_id = p_account_id and key_hmac = any (v_asked.key_hmacs) and expires_at > v_now
     order by created_at desc limit 1;
    if not found then
        return null;
    end if;
    if v_found.body_hmac <> all (v_asked.body_hmacs) or v_found.route <> v_asked.route then
        return gateway.refusal(409, 'idempotency_key_reused');
    end if;
    return jsonb_build_object('is_replayed', true, 'result', v_found.result,
                              'sealed', case when v_found.sealed_until > v_now then v_found.sealed end);
end $$;
comment on function gateway.find_receipt is
    'Null is: new, make the change and keep its receipt in the same transaction. Else what the first answered, or that the key was used for something else. Locks the account, so whoever asks has it already, or has nothing yet: gateway.enter_locked.';

create function gateway.keep_receipt(p_account_id bigint, p_receipt jsonb, p_result jsonb) returns void
language plpgsql
as $$
declare
    v_asked gateway.receipt;
    v_now   timestamptz := gateway.clock();
begin
    if coalesce(p_receipt, 'null') = 'null' then
        return;
    end if;
    v_asked := gateway.read_receipt(p_receipt);
    -- What stands under this key by now has had its time.
    delete from gateway.receipts where account_id = p_account_id and key_hmac = any (v_asked.key_hmacs);
    insert into gateway.receipts (account_id, key_hmac, body_hmac, route, result, sealed, sealed_until, expires_at, created_at)
    values (p_account_id, v_asked.key_hmacs[1], v_asked.body_hmacs[1], v_asked.route, p_result, v_asked.sealed,
            case when v_asked.sealed is not null then v_now + interval '10 minutes' end, v_now + interval '24 hours', v_now);
end $$;

create function gateway.erase_spent(p_limit int, p_now timestamptz) returns int
language plpgsql
as $$
declare
    v_count int;
    v_total int := 0;
begin
    delete from gateway.receipts
     where (account_id, key_hmac) in (select account_id, key_hmac from gateway.receipts where expires_at <= p_now
                                       order by expires_at limit p_limit for update skip locked);
    get diagnostics v_total = row_count;
    update gateway.receipts set sealed = null
     where (account_id, key_hmac) in (select account_id, key_hmac from gateway.receipts where sealed is not null and sealed_until <= p_now
                                       order by sealed_until limit p_limit for update skip locked);
    get diagnostics v_count = row_count;
    v_total := v_total + v_count;
    delete from gateway.key_secrets
     where key_hmac in (select key_hmac from gateway.key_secrets where expires_at <= p_now
                         order by expires_at limit p_limit for update skip locked);
    get diagnostics v_count = row_count;
    return v_total + v_count;
end $$;
comment on function gateway.erase_spent is 'Erases receipts and old secrets whose time is over, and what was sealed in receipts.';

create or replace function api.erase_answers(p_limit int default 1000) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v_now   timestamptz := gateway.clock();
    v_count int;
begin
    if not pg_try_advisory_xact_lock(hashtext('gateway.erase_answers')) then
        -- Another sweep is at it. Two would meet at their accounts' counts, each in its own order.
        return jsonb_build_object('count', 0);
    end if;
    delete from gateway.replays
     where generation_id in (select generation_id from gateway.replays where expires_at <= v_now
                              order by expires_at limit p_limit for update skip locked);
    get diagnostics v_count = row_count;
    return jsonb_build_object('count', v_count + gateway.erase_spent(p_limit, v_now));
end $$;
comment on function api.erase_answers is
    'Deletes claims whose time is over, with their answers; receipts of changes likewise, and the old secrets of rotated keys. The ledger keeps the bill.';
