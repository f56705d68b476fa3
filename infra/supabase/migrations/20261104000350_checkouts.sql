-- Checkouts: what may be bought, decided and written down here before Stripe hears of it.

create function gateway.checkout_view(p_checkout gateway.checkouts) returns jsonb
language sql immutable
as $$
    select jsonb_build_object(
        'id', p_checkout.id, 'kind', p_checkout.kind, 'amount_cents', p_checkout.amount_cents, 'bonus_nanos', p_checkout.bonus_nanos,
        'plan_id', p_checkout.plan_id, 'interval', p_checkout.interval, 'session_id', p_checkout.stripe_session_id,
        'url', p_checkout.url, 'expires_at', p_checkout.expires_at, 'created_at', p_checkout.created_at)
$$;

create function gateway.amount_refusal(p_cents bigint) returns jsonb
language sql stable
as $$
    select case when (p_cents between bounds.min_cents and bounds.max_cents) is not true then
               gateway.refusal(400, 'amount_out_of_range', jsonb_build_object('min_cents', bounds.min_cents, 'max_cents', bounds.max_cents)) end
      from gateway.credit_bounds() as bounds
$$;

create function gateway.checkout_refusal(p_checkout gateway.checkouts, p_now timestamptz) returns jsonb
language plpgsql stable
as $$
declare
    v_subscription gateway.subscriptions;
begin
    if p_checkout.kind = 'credits' then
        return gateway.amount_refusal(p_checkout.amount_cents);
    end if;
    v_subscription := gateway.current_subscription(p_checkout.account_id, p_now);
    if v_subscription.id is not null
       and exists (select from gateway.plans where id = p_checkout.plan_id and is_offered and monthly_price_cents = 0 and yearly_price_cents = 0) then
        -- Nothing is bought: the subscription ends with its period.
        return null;
    end if;
    if v_subscription.status in ('active', 'trialing') and v_subscription.cancels_at is null and v_subscription.scheduled_at is null
       and (gateway.surplus_subscription(v_subscription)).id is null
       and (v_subscription.plan_id, v_subscription.interval) = (p_checkout.plan_id, p_checkout.interval) then
        return gateway.refusal(409, 'already_on_plan', jsonb_build_object('plan_id', p_checkout.plan_id, 'interval', p_checkout.interval));
    end if;
    return gateway.plan_refusal(p_checkout.plan_id, p_checkout.interval);
end $$;
comment on function gateway.checkout_refusal is 'May this be bought? Null is yes. A plan without a price is how a subscription is ended, one that is about to change may be kept, and one that is not paid for may be paid.';

create function gateway.opened_checkout(p_key gateway.api_keys, p_checkout_id uuid, p_now timestamptz, p_is_replayed boolean) returns jsonb
language sql stable
as $$
    select gateway.answer('checkout', p_key, jsonb_build_object(
               'checkout', gateway.checkout_view(checkout), 'account_id', account.id, 'customer_id', account.stripe_customer_id,
               'email', account.email,
               'subscription', case when checkout.kind = 'plan' then gateway.told_subscription(gateway.current_subscription(account.id, p_now)) end,
               'is_replayed', p_is_replayed))
      from gateway.checkouts as checkout join gateway.accounts as account on account.id = checkout.account_id
     where checkout.id = p_checkout_id
$$;
comment on function gateway.opened_checkout is
    'A checkout with what Stripe is asked for it: the customer, and the subscription that a plan would change.';

create function api.open_checkout(p_caller jsonb, p_checkout jsonb, p_receipt jsonb default null) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v          record;
    v_checkout gateway.checkouts := jsonb_populate_record(null::gateway.checkouts, p_checkout);
    v_earlier  jsonb;
    v_refusal  jsonb;
begin
    if v_checkout.id is null or (v_checkout.kind in ('credits', 'plan')) is not true then
        raise exception 'a checkout has its id and its kind' using errcode = 'invalid_parameter_value';
    end if;
    select * into v from gateway.enter_locked(p_caller, p_takes_account => true, p_takes_wallet => false);
    if v.refusal is not null then
        return v.refusal;
    end if;
    v_earlier := gateway.find_receipt((v.key).account_id, p_receipt);
    if v_earlier ->> 'verdict' = 'refused' then
        return v_earlier || gateway.policy_of(v.key);
    end if;
    if v_earlier is not null then
        return gateway.opened_checkout(v.key, (v_earlier -> 'result' ->> 'id')::uuid, v.at, true);
    end if;
    v_checkout.account_id := (v.key).account_id;
    v_refusal := gateway.checkout_refusal(v_checkout, v.at);
    if v_refusal is not null then
        return v_refusal || gateway.policy_of(v.key);
    end if;
    -- What Stripe is told later, and where, is no caller's to say.
    insert into gateway.checkouts (id, account_id, kind, amount_cents, bonus_nanos, plan_id, interval, created_at)
    values (v_checkout.id, v_checkout.account_id, v_checkout.kind, v_checkout.amount_cents,
            case v_checkout.kind when 'credits' then gateway.bonus_nanos(v_checkout.amount_cents) else 0 end,
            v_checkout.plan_id, v_checkout.interval, v.at);
    perform gateway.keep_receipt(v_checkout.account_id, p_receipt, jsonb_build_object('id', v_checkout.id));
    return gateway.opened_checkout(v.key, v_checkout.id, v.at, false);
end $$;
comment on function api.open_checkout is
    'Writes down what somebody wants to buy, at the terms of now, and tells what Stripe is to be asked. Under the same Idempotency-Key it is the same checkout.';

create function api.keep_checkout(p_checkout_id uuid, p_stripe_session_id text, p_url text, p_expires_at timestamptz) returns jsonb
language plpgsql security definer set search_path = ''
as $$
begin
    -- The first session stays: its id is what the customer may be paying by.
    update gateway.checkouts set stripe_session_id = p_stripe_session_id, url = p_url, expires_at = p_expires_at
     where id = p_checkout_id and stripe_session_id is null;
    return (select jsonb_build_object('verdict', 'checkout_kept', 'checkout', gateway.checkout_view(checkout))
              from gateway.checkouts as checkout where checkout.id = p_checkout_id);
end $$;
comment on function api.keep_checkout is 'Remembers where a checkout is paid at Stripe. Again changes nothing.';
