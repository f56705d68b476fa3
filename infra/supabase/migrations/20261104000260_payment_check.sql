-- The checker learns what must be true of payments.

create function gateway.broken_payments(p_account_id bigint) returns table (rule text, subject text)
language sql stable
as $$
    with line as (
        select transfer.source,
               sum(case gateway.house('stripe') when debit_account then amount_nanos when credit_account then -amount_nanos else 0 end) as money_nanos,
               sum(case gateway.house('promotions') when debit_account then amount_nanos when credit_account then -amount_nanos else 0 end) as credit_nanos
          from gateway.transfers as transfer
         where transfer.source is not null and transfer.idempotency_key like 'payment:%'
           and (p_account_id is null or transfer.source in (select id from gateway.payments where account_id = p_account_id))
         group by transfer.source
    ),
    payment as (
        select payment.*, target.refund_money, target.dispute_money, target.refund_credit, target.dispute_credit,
               coalesce(line.money_nanos, 0) as line_money_nanos, coalesce(line.credit_nanos, 0) as line_credit_nanos
          from gateway.payments as payment
          left join line on line.source = payment.id, lateral gateway.payment_targets(payment) as target
         where p_account_id is null or payment.account_id = p_account_id
    )
    select 'a payment is posted as Stripe tells of it', id from payment
     where (refund_money_nanos, dispute_money_nanos, dispute_credit_nanos) <> (refund_money, dispute_money, dispute_credit)
        or (kind = 'credits' and refund_credit_nanos <> refund_credit)
        or refund_credit_nanos > refund_credit
    union all
    select 'a payment''s money = its lines with stripe', id from payment
     where line_money_nanos <> money_nanos - refund_money_nanos - dispute_money_nanos
    union all
    select 'a payment''s bonus, and what is taken of allowances = its lines with promotions', id from payment
     where line_credit_nanos <> bonus_nanos - refund_credit_nanos - dispute_credit_nanos
    union all
    select 'every line of a payment has its payment', line.source from line where not exists (select from gateway.payments where id = line.source)
    union all
    select 'a payment''s lots = what it gave', id from payment
     where kind = 'credits' and money_nanos + bonus_nanos > (select coalesce(sum(amount_nanos), 0) from gateway.lots
                                                               where account_id = payment.account_id and source = payment.id and kind in ('purchase', 'promo'))
    union all
    select 'only a payment that succeeded gives anything', id from payment where granted_at is not null and status <> 'succeeded'
    union all
    select 'what is granted = what was paid without its tax', id from payment
     where granted_at is not null and money_nanos <> gateway.cents_in_nanos(received_cents - tax_cents)
    union all
    select 'what is taken of a payment is taken of its own lots first', payment.id
      from payment join gateway.lots as lot on lot.account_id = payment.account_id and lot.source = payment.id and not lot.is_closed
     where lot.kind = case payment.kind when 'plan' then 'plan' else 'promo' end and lot.remaining_nanos > 0
       and (credit_of_others_nanos > 0 or (payment.kind = 'plan' and refund_credit_nanos < refund_credit))
    union all
    select 'what holds have of a payment that was taken back is claimed', payment.id
      from payment join gateway.wallets as wallet on wallet.account_id = payment.account_id and not wallet.has_claims
     where (credit_of_others_nanos > 0 or (payment.kind = 'plan' and refund_credit_nanos < refund_credit))
       and exists (select from gateway.lots as lot
                    where lot.account_id = payment.account_id and lot.source = payment.id and not lot.is_closed and lot.kind in ('promo', 'plan'))
    union all
    select 'nothing is left of a reward that is revoked', lot.id::text
      from gateway.lots as lot
     where (p_account_id is null or lot.account_id = p_account_id) and lot.is_revoked and lot.remaining_nanos > 0
    union all
    select 'an account is disputed as its payments are', account.id::text
      from gateway.accounts as account
     where (p_account_id is null or account.id = p_account_id)
       and account.dispute_status is distinct from (select max(dispute_status) from gateway.payments
                                                     where account_id = account.id and dispute_status in ('open', 'lost'))
$$;

create or replace function gateway.broken_rules(p_account_id bigint default null) returns table (rule text, subject text)
language sql stable
as $$
    select rule, subject from gateway.broken_sums(p_account_id)
    union all
    select rule, subject from gateway.broken_requests(p_account_id)
    union all
    select rule, subject from gateway.broken_transactions(p_account_id)
    union all
    select rule, subject from gateway.broken_payments(p_account_id)
$$;
