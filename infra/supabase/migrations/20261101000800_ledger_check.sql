-- The checker: one row per broken rule, none when the books are right.
create function gateway.broken_rules(p_account_id bigint default null) returns table (rule text, subject text)
language sql stable
as $$
    with wallet as (
        select account_id, posted_nanos from gateway.wallets where p_account_id is null or account_id = p_account_id
    ),
    part as (
        select part.lot_id, part.hold_id, part.amount_nanos, hold.account_id, hold.state
          from gateway.hold_parts as part join gateway.holds as hold on hold.id = part.hold_id
         where p_account_id is null or hold.account_id = p_account_id
    )
    select 'wallet = its credits - its debits', account_id::text from wallet
     where posted_nanos <> (select coalesce(sum(case when credit_account = wallet.account_id then amount_nanos else -amount_nanos end), 0)
                              from gateway.transfers where transfers.account_id = wallet.account_id)
    union all
    select 'wallet = what is left in its lots + what holds took', account_id::text from wallet
     where posted_nanos <> (select coalesce(sum(remaining_nanos), 0) from gateway.lots where lots.account_id = wallet.account_id)
                         + (select coalesce(sum(amount_nanos), 0) from part where part.account_id = wallet.account_id)
    union all
    select 'lot = remaining + held + spent + lapsed + taken', id::text from gateway.lots as lot
     where (p_account_id is null or account_id = p_account_id)
       and amount_nanos <> remaining_nanos + spent_nanos + lapsed_nanos + taken_nanos
                         + (select coalesce(sum(amount_nanos), 0) from part where part.lot_id = lot.id)
    union all
    select 'only a live hold has parts', hold_id::text from part where state <> 'held'
    union all
    select 'live hold = its parts', id::text from gateway.holds as hold
     where (p_account_id is null or account_id = p_account_id) and state = 'held'
       and amount_nanos <> (select coalesce(sum(amount_nanos), 0) from part where part.hold_id = hold.id)
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
