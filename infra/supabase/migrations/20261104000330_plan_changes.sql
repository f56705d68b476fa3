-- Changes of plans: one at a time for an account, and what each came to.

create table gateway.plan_changes (
    checkout_id uuid primary key references gateway.checkouts,
    account_id  bigint not null references gateway.accounts,
    holder      uuid not null,
    outcome     jsonb,
    begun_at    timestamptz not null,
    ended_at    timestamptz,
    created_at  timestamptz not null default now(),
    check (outcome is null or ended_at is not null)
);
comment on table gateway.plan_changes is
    'What became of an order of a plan. While one is carried out at Stripe no other of its account is: two at once would each begin from what the other is changing. holder: the request that is at it.';
create unique index plan_changes_under_way on gateway.plan_changes (account_id) where ended_at is null;
alter table gateway.plan_changes enable row level security;

create function gateway.plan_change_lease() returns interval
language sql immutable
as $$ select interval '1 minute' $$;
comment on function gateway.plan_change_lease is 'Longer than any function that changes plans may run: who has held it for so long is no more.';

create function api.begin_plan_change(p_checkout_id uuid, p_holder uuid) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v_account_id bigint;
    v_own        gateway.plan_changes;
    v_now        timestamptz;
begin
    select account_id into strict v_account_id from gateway.checkouts where id = p_checkout_id;
    perform from gateway.accounts where id = v_account_id for no key update;
    v_now := gateway.clock();
    select * into v_own from gateway.plan_changes where checkout_id = p_checkout_id;
    if v_own.outcome is not null then
        return jsonb_build_object('verdict', 'ended', 'outcome', v_own.outcome);
    end if;
    perform from gateway.plan_changes
     where account_id = v_account_id and ended_at is null and holder <> p_holder
       and begun_at > v_now - gateway.plan_change_lease();
    if found then
        return jsonb_build_object('verdict', 'busy');
    end if;
    update gateway.plan_changes set ended_at = v_now
     where account_id = v_account_id and ended_at is null and checkout_id <> p_checkout_id;
    insert into gateway.plan_changes (checkout_id, account_id, holder, begun_at)
    values (p_checkout_id, v_account_id, p_holder, v_now)
    on conflict (checkout_id) do update set holder = excluded.holder, begun_at = excluded.begun_at, ended_at = null;
    return jsonb_build_object('verdict', 'begun');
end $$;
comment on function api.begin_plan_change is
    'Takes the account''s turn to change its plan; busy while another request has it, ended with what came of this order where that is known. Again by the same holder it is taken again.';

create function api.end_plan_change(p_checkout_id uuid, p_holder uuid, p_outcome jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v_outcome jsonb := nullif(p_outcome, 'null');
begin
    update gateway.plan_changes
       set outcome = v_outcome, ended_at = gateway.clock()
     where checkout_id = p_checkout_id and holder = p_holder and ended_at is null;
    if found or exists (select from gateway.plan_changes
                         where checkout_id = p_checkout_id and holder = p_holder and outcome is not distinct from v_outcome) then
        return jsonb_build_object('verdict', 'kept');
    end if;
    return jsonb_build_object('verdict', 'superseded');
end $$;
comment on function api.end_plan_change is
    'Gives the turn back, with what came of the order; null where nothing did, and it may be tried again. superseded: it took too long, and another has the turn.';

create function gateway.plan_move(p_subscription gateway.subscriptions, p_plan gateway.plans, p_interval text) returns text
language plpgsql stable
as $$
declare
    v_is_sold boolean := gateway.price_cents(p_plan, p_interval) is not null;
    v_rank    int;
begin
    if p_subscription.id is null then
        return case when v_is_sold then 'subscribe' else 'none' end;
    end if;
    if not v_is_sold then
        return case when p_subscription.cancels_at is null then 'cancel' else 'none' end;
    end if;
    if (p_subscription.plan_id, p_subscription.interval) = (p_plan.id, p_interval) then
        return case when p_subscription.cancels_at is not null or p_subscription.scheduled_at is not null then 'keep'
                    when p_subscription.status not in ('active', 'trialing') then 'pay_first' else 'none' end;
    end if;
    if p_subscription.status not in ('active', 'trialing') then
        return 'pay_first';
    end if;
    select rank into strict v_rank from gateway.plans where id = p_subscription.plan_id;
    -- Who has paid for a year has its allowances: he goes back to months when it is over.
    if p_plan.rank >= v_rank and not (p_subscription.interval = 'year' and p_interval = 'month') then
        return 'upgrade';
    end if;
    return case when exists (select from gateway.plan_prices
                              where stripe_price_id = p_subscription.scheduled_price_id and plan_id = p_plan.id and interval = p_interval)
                then 'none' else 'schedule' end;
end $$;
comment on function gateway.plan_move is
    'How somebody with this subscription gets to a plan: to one that is as high or higher now, to a lower one, to months after a year, or to none when what is paid is over. none: there is nothing to do, or nothing more.';

create function gateway.surplus_subscription(p_current gateway.subscriptions) returns gateway.subscriptions
language sql stable
as $$
    select subscription
      from gateway.subscriptions as subscription
     where subscription.account_id = p_current.account_id and subscription.id <> p_current.id
       and gateway.is_live(subscription) and subscription.cancels_at is null
     order by subscription.id limit 1
$$;
comment on function gateway.surplus_subscription is 'Another one of the account that would be charged for beside its current one; somebody made it behind our back.';

create function gateway.last_end(p_account_id bigint) returns timestamptz
language sql stable
as $$
    select max(subscription.cancels_at) from gateway.subscriptions as subscription
     where subscription.account_id = p_account_id and gateway.is_live(subscription)
$$;
comment on function gateway.last_end is 'When the last of an account''s subscriptions ends, where all do.';

create function api.weigh_plan_change(p_checkout_id uuid) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
    v_checkout     gateway.checkouts;
    v_plan         gateway.plans;
    v_subscription gateway.subscriptions;
    v_surplus      gateway.subscriptions;
    v_move         text;
begin
    select * into strict v_checkout from gateway.checkouts where id = p_checkout_id;
    select * into strict v_plan from gateway.plans where id = v_checkout.plan_id;
    v_subscription := gateway.current_subscription(v_checkout.account_id, gateway.clock());
    v_move := gateway.plan_move(v_subscription, v_plan, v_checkout.interval);
    v_surplus := gateway.surplus_subscription(v_subscription);
    if v_move = 'none' and v_surplus.id is not null then
        -- Whichever plan was ordered, an account pays for one.
        v_move := 'cancel';
        v_subscription := v_surplus;
    end if;
    return jsonb_build_object(
        'move', v_move, 'plan_id', v_plan.id, 'interval', v_checkout.interval, 'subscription_id', v_subscription.id,
        'comes_at', case when gateway.price_cents(v_plan, v_checkout.interval) is null then gateway.last_end(v_checkout.account_id)
                         else coalesce(v_subscription.scheduled_at, v_subscription.cancels_at) end);
end $$;
comment on function api.weigh_plan_change is
    'What is to be done at Stripe so that the account gets what it ordered, by what is known of its subscription. comes_at: when what is ordered already will be so; null where it is.';

create function api.read_payer(p_caller jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v record;
begin
    select * into v from gateway.enter(p_caller);
    if v.refusal is not null then
        return v.refusal;
    end if;
    return (
        select gateway.answer('payer', v.key, jsonb_build_object(
                   'account_id', account.id, 'customer_id', account.stripe_customer_id, 'email', account.email))
          from gateway.accounts as account where account.id = (v.key).account_id);
end $$;
comment on function api.read_payer is 'Who the key''s account is at Stripe, for the portal; null where it is nobody there yet.';
