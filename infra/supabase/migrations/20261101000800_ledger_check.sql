-- The checker: one row per broken rule, none when the books are right.
create function gateway.broken_rules(p_account_id bigint default null) returns table (rule text, subject text)
language sql stable
as $$
    with part as (
        select part.lot_id, part.hold_id, part.amount_nanos, hold.account_id, hold.state
          from gateway.hold_parts as part join gateway.holds as hold on hold.id = part.hold_id
         where p_account_id is null or hold.account_id = p_account_id
    ),
    posted as (
        select account_id, sum(case when credit_account = account_id then amount_nanos else -amount_nanos end) as amount_nanos
          from gateway.transfers where account_id is not null and (p_account_id is null or account_id = p_account_id) group by account_id
    ),
    -- What is left in lots and what holds took.
    kept as (
        select account_id, sum(amount_nanos) as amount_nanos
          from (select account_id, remaining_nanos from gateway.lots
                 where not is_closed and (p_account_id is null or account_id = p_account_id)
                union all
                select account_id, amount_nanos from part) as each (account_id, amount_nanos)
         group by account_id
    ),
    held_of_lot as (select lot_id, sum(amount_nanos) as amount_nanos from part group by lot_id),
    held_by_hold as (select hold_id, sum(amount_nanos) as amount_nanos from part group by hold_id)
    select 'wallet = its credits - its debits', wallet.account_id::text
      from gateway.wallets as wallet left join posted using (account_id)
     where (p_account_id is null or wallet.account_id = p_account_id) and wallet.posted_nanos <> coalesce(posted.amount_nanos, 0)
    union all
    select 'wallet = what is left in its lots + what holds took', wallet.account_id::text
      from gateway.wallets as wallet left join kept using (account_id)
     where (p_account_id is null or wallet.account_id = p_account_id) and wallet.posted_nanos <> coalesce(kept.amount_nanos, 0)
    union all
    select 'lot = remaining + held + spent + lapsed + taken', lot.id::text
      from gateway.lots as lot left join held_of_lot as held on held.lot_id = lot.id
     where (p_account_id is null or lot.account_id = p_account_id)
       and lot.amount_nanos <> lot.remaining_nanos + lot.spent_nanos + lot.lapsed_nanos + lot.taken_nanos + coalesce(held.amount_nanos, 0)
    union all
    select 'only a live hold has parts', hold_id::text from part where state <> 'held'
    union all
    select 'live hold = its parts', hold.id::text
      from gateway.holds as hold left join held_by_hold as held on held.hold_id = hold.id
     where (p_account_id is null or hold.account_id = p_account_id) and hold.state = 'held'
       and hold.amount_nanos <> coalesce(held.amount_nanos, 0)
    union all
    select 'settled hold has its usage line', id::text from gateway.holds as hold
     where (p_account_id is null or account_id = p_account_id)
       and (state in ('settled', 'settled_late')) <> exists (select from gateway.usage_lines where generation_id = hold.id)
    union all
    select 'usage line = its transfers', generation_id::text from gateway.usage_lines as line
     where (p_account_id is null or account_id = p_account_id)
       and (charged_nanos, shortfall_nanos, provider_cost_nanos, cost_excess_nanos) <> (
           select coalesce(sum(amount_nanos) filter (where kind = 'usage' and debit_account = line.account_id), 0)::bigint,
                  coalesce(sum(amount_nanos) filter (where kind = 'shortfall'), 0)::bigint,
                  coalesce(sum(amount_nanos) filter (where kind = 'provider_cost'), 0)::bigint,
                  coalesce(sum(amount_nanos) filter (where kind = 'cost_excess'), 0)::bigint
             from gateway.transfers where transfers.generation_id = line.generation_id)
    union all
    select 'the whole ledger sums to what wallets hold', 'all'
     where p_account_id is null
       and (select coalesce(sum(posted_nanos), 0) from gateway.wallets)
        <> (select coalesce(sum(case when credit_account >= 1000 then amount_nanos else 0 end)
                          - sum(case when debit_account >= 1000 then amount_nanos else 0 end), 0) from gateway.transfers)
    union all
    select 'what is owed = receivable', 'all'
     where p_account_id is null
       and (select coalesce(sum(owed_nanos), 0) from gateway.wallets)
        <> (select coalesce(sum(amount_nanos) filter (where debit_account = gateway.house('receivable')), 0)
                 - coalesce(sum(amount_nanos) filter (where credit_account = gateway.house('receivable')), 0) from gateway.transfers)
$$;

create function api.check_books(p_account_id bigint default null) returns jsonb
language sql stable security definer set search_path = ''
as $$ select coalesce(jsonb_agg(jsonb_build_object('rule', rule, 'subject', subject)), '[]') from gateway.broken_rules(p_account_id) $$;
comment on function api.check_books is 'Re-adds the books of one account or of all; answers what does not balance, [] when all does.';
