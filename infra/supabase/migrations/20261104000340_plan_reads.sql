-- What people read of their plan: its limits and what is used of them, the subscription behind it, and the month's allowance.

create function gateway.current_allowance(p_account_id bigint, p_now timestamptz) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
               'granted_nanos', coalesce(sum(lot.amount_nanos - lot.taken_nanos), 0)::bigint,
               'remaining_nanos', coalesce(sum(lot.remaining_nanos), 0)::bigint,
               'ends_at', max(lot.expires_at))
      from gateway.subscriptions as subscription
      join gateway.allowances as allowance on allowance.subscription_id = subscription.id
      join gateway.lots as lot on lot.id = allowance.lot_id
     where subscription.account_id = p_account_id and allowance.starts_at <= p_now and allowance.ends_at > p_now
$$;
comment on function gateway.current_allowance is
    'What the plan gives for the month that runs, what is left of it, and until when. What was taken back with a refund was not given.';

create function api.read_plan(p_caller jsonb) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v              record;
    v_subscription gateway.subscriptions;
begin
    select * into v from gateway.enter_locked(p_caller, p_takes_account => false, p_takes_wallet => true);
    if v.refusal is not null then
        return v.refusal;
    end if;
    perform gateway.bring_to_time((v.key).account_id, v.at);
    v_subscription := gateway.current_subscription((v.key).account_id, v.at);
    return (
        select gateway.answer('plan', v.key, jsonb_build_object(
                   'plan', gateway.offered_plan(plan),
                   'status', case when v_subscription.id is null then 'none'
                                  when v_subscription.status not in ('active', 'trialing') then 'past_due'
                                  when v_subscription.cancels_at is not null then 'canceling'
                                  else 'active' end,
                   'subscription', gateway.told_subscription(v_subscription),
                   'allowance', gateway.current_allowance(account.id, v.at),
                   'quotas', gateway.quotas(account.id, v.at)))
          from gateway.accounts as account join gateway.plans as plan on plan.id = account.plan_id
         where account.id = (v.key).account_id);
end $$;
comment on function api.read_plan is
    'The plan whose limits hold for the key''s account, and the subscription behind it. past_due: a payment for it has failed; it goes on until grace_ends_at.';
