-- An account's ledger lines as its owner reads them: newest first, each with the balance that it left.

alter table gateway.transfers add column source text;
comment on column gateway.transfers.source is
    'Of credit that was taken back: the payment it was taken back for, whichever lot it was taken from. Null before there was this column.';
alter table gateway.transfers add column balance_after_nanos bigint check (balance_after_nanos >= 0);
comment on column gateway.transfers.balance_after_nanos is
    'The account''s posted balance once this line is written; null for a line between house accounts alone.';

-- The ledger is never updated but here, once, to tell what its own lines add up to.
alter table gateway.transfers disable trigger transfers_append_only;
update gateway.transfers as transfer
   set balance_after_nanos = counted.balance_nanos
  from (select id, sum(case when credit_account = account_id then amount_nanos else -amount_nanos end)
                       over (partition by account_id order by id) as balance_nanos
          from gateway.transfers where account_id is not null) as counted
 where counted.id = transfer.id;
alter table gateway.transfers enable trigger transfers_append_only;
alter table gateway.transfers add check ((account_id is null) = (balance_after_nanos is null));

-- Nearly every line is a usage line: whoever looks for the others would read all of those first.
create index transfers_but_usage on gateway.transfers (account_id, id) where account_id is not null and kind <> 'usage';

-- The wallet is locked by whoever posts, so the last line of its account is the one before this, and ids rise with time.
drop function gateway.post(text, int, bigint, bigint, bigint, text, bigint, uuid, timestamptz);
create function gateway.post(
    p_key text, p_line int, p_debit bigint, p_credit bigint, p_amount bigint, p_kind text,
    p_lot_id bigint, p_generation_id uuid, p_now timestamptz, p_source text default null
) returns void
language sql
as $$
    insert into gateway.transfers (idempotency_key, line_number, debit_account, credit_account, amount_nanos, kind,
                                   account_id, lot_id, generation_id, created_at, source, balance_after_nanos)
    select p_key, p_line, p_debit, p_credit, p_amount, p_kind, wallet.account_id, p_lot_id, p_generation_id, p_now, p_source,
           case when wallet.account_id is not null then
               coalesce((select last.balance_after_nanos from gateway.transfers as last
                          where last.account_id = wallet.account_id order by last.id desc limit 1), 0)
             + case when p_credit = wallet.account_id then p_amount else -p_amount end end
      from (select case when p_debit >= 1000 then p_debit when p_credit >= 1000 then p_credit end) as wallet (account_id)
$$;

create or replace function gateway.take_back(
    p_account_id bigint, p_amount bigint, p_kind text, p_key text, p_source text, p_now timestamptz
) returns jsonb
language plpgsql
as $$
declare
    v_lot  gateway.lots;
    v_rest bigint := p_amount;
    v_part bigint;
    v_line int := 0;
begin
    if p_kind not in ('refund', 'dispute', 'admin') then
        raise exception 'credit is not taken back as %', p_kind using errcode = 'invalid_parameter_value';
    end if;
    -- The payment's own lots first, those of months to come too, then other purchases; trials, plans and promotions that
    -- came from elsewhere are not the payer's to give back.
    for v_lot in
        select * from gateway.lots
         where account_id = p_account_id and not is_closed and remaining_nanos > 0 and (expires_at is null or expires_at > p_now)
           and (kind = 'purchase' or (p_kind = 'admin' and kind = 'admin') or source = p_source)
         order by (source = p_source) is true desc, expires_at nulls last, id
    loop
        exit when v_rest = 0;
        v_part := least(v_rest, v_lot.remaining_nanos);
        v_line := v_line + 1;
        perform gateway.post(p_key, v_line, p_account_id, gateway.counterparty(p_kind), v_part, p_kind, v_lot.id, null, p_now, p_source);
        update gateway.lots set remaining_nanos = remaining_nanos - v_part, taken_nanos = taken_nanos + v_part where id = v_lot.id;
        v_rest := v_rest - v_part;
    end loop;
    if v_rest > 0 then
        v_line := v_line + 1;
        perform gateway.post(p_key, v_line, gateway.house('receivable'), gateway.counterparty(p_kind), v_rest, 'owed', null, null, p_now, p_source);
    end if;
    update gateway.wallets
       set posted_nanos = posted_nanos - (p_amount - v_rest), owed_nanos = owed_nanos + v_rest
     where account_id = p_account_id;
    return jsonb_build_object('verdict', 'credited', 'moved_nanos', v_rest - p_amount, 'owed_nanos', v_rest, 'is_repeated', false);
end $$;

create function gateway.broken_transactions(p_account_id bigint) returns table (rule text, subject text)
language sql stable
as $$
    select 'balance after a line = balance before it and the line', id::text
      from (select id, balance_after_nanos, case when credit_account = account_id then amount_nanos else -amount_nanos end as moved_nanos,
                   lag(balance_after_nanos, 1, 0::bigint) over (partition by account_id order by id) as before_nanos
              from gateway.transfers
             where account_id is not null and (p_account_id is null or account_id = p_account_id)) as line
     where balance_after_nanos <> before_nanos + moved_nanos
    union all
    select 'wallet = balance after its last line', wallet.account_id::text
      from gateway.wallets as wallet
     where (p_account_id is null or wallet.account_id = p_account_id)
       and wallet.posted_nanos <> coalesce((select last.balance_after_nanos from gateway.transfers as last
                                             where last.account_id = wallet.account_id order by last.id desc limit 1), 0)
$$;

create or replace function gateway.broken_rules(p_account_id bigint default null) returns table (rule text, subject text)
language sql stable
as $$
    select rule, subject from gateway.broken_sums(p_account_id)
    union all
    select rule, subject from gateway.broken_requests(p_account_id)
    union all
    select rule, subject from gateway.broken_transactions(p_account_id)
$$;

create function gateway.first_transfer_since(p_account_id bigint, p_at timestamptz) returns bigint
language plpgsql stable
as $$
declare
    v_low   bigint := 0;
    v_high  bigint;
    v_found record;
begin
    select id + 1 into v_high from gateway.transfers where account_id = p_account_id order by id desc limit 1;
    -- Halved at each look, so that a window of long ago is found without reading what came after it.
    while v_low < v_high loop
        select id, created_at into v_found from gateway.transfers
         where account_id = p_account_id and id >= v_low + (v_high - v_low) / 2 order by id limit 1;
        if v_found.id < v_high and v_found.created_at < p_at then
            v_low := v_found.id + 1;
        else
            v_high := v_low + (v_high - v_low) / 2;
        end if;
    end loop;
    return coalesce(v_low, 0);
end $$;
comment on function gateway.first_transfer_since is
    'The id from which on an account''s lines are of this moment or later: both rise together. At most 64 looks.';

create function gateway.transactions(
    p_account_id bigint, p_kinds text[], p_from timestamptz, p_to timestamptz, p_before bigint, p_limit int
) returns setof gateway.transfers
language plpgsql stable
as $$
declare
    -- A machine's clock may be set back a little. The exact moments are compared with each line below.
    v_first bigint := case when p_from is null then 0 else gateway.first_transfer_since(p_account_id, p_from - interval '5 minutes') end;
    v_end   bigint := least(p_before, case when p_to is not null
                                           then gateway.first_transfer_since(p_account_id, p_to + interval '5 minutes') end);
begin
    if p_kinds is not null and 'usage' <> all (p_kinds) then
        return query
            select transfer.* from gateway.transfers as transfer
             where account_id = p_account_id and kind <> 'usage' and id >= v_first and id < coalesce(v_end, 9223372036854775807)
               and kind = any (p_kinds) and (p_from is null or created_at >= p_from) and (p_to is null or created_at < p_to)
             order by id desc limit p_limit;
    else
        return query
            select transfer.* from gateway.transfers as transfer
             where account_id = p_account_id and id >= v_first and id < coalesce(v_end, 9223372036854775807)
               and (p_kinds is null or kind = any (p_kinds))
               and (p_from is null or created_at >= p_from) and (p_to is null or created_at < p_to)
             order by id desc limit p_limit;
    end if;
end $$;
comment on function gateway.transactions is 'An account''s lines, newest first: those before an id, of these kinds, from one moment until before another.';

create function api.list_transactions(
    p_caller jsonb, p_limit int, p_before bigint default null, p_kinds text[] default null,
    p_from timestamptz default null, p_to timestamptz default null
) returns jsonb
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
        -- One line more than asked for tells whether there are more.
        with line as (
            select transfer.id, transfer.kind, transfer.generation_id, transfer.created_at, transfer.balance_after_nanos,
                   case transfer.kind when 'purchase' then lot.source when 'refund' then transfer.source when 'dispute' then transfer.source end as source,
                   case when transfer.credit_account = transfer.account_id then transfer.amount_nanos else -transfer.amount_nanos end as amount_nanos
              from gateway.transactions((v.key).account_id, p_kinds, p_from, p_to, p_before, p_limit + 1) as transfer
              left join gateway.lots as lot on lot.id = transfer.lot_id and transfer.kind = 'purchase'
        )
        select jsonb_build_object(
            'verdict', 'transactions',
            'lines', coalesce((select jsonb_agg(jsonb_build_object(
                                   'id', id, 'kind', kind, 'amount_nanos', amount_nanos, 'balance_after_nanos', balance_after_nanos,
                                   'generation_id', generation_id, 'payment_id', source, 'created_at', created_at) order by id desc)
                                 from (select id, kind, amount_nanos, balance_after_nanos, generation_id, source, created_at from line order by id desc limit p_limit) as shown), '[]'),
            'has_more', (select count(*) > p_limit from line),
            'policy', gateway.limits_policy((v.key).id)));
end $$;
comment on function api.list_transactions is 'A page of the ledger lines of the key''s account, newest first; p_before is the id where the last page ended.';
