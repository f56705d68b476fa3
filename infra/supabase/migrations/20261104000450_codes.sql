-- Coupons: a code gives credit, to each person once, and to so many as it was made for.

create table gateway.coupons (
    code            text primary key check (code ~ '^[a-z0-9][a-z0-9_-]{2,39}$'),
    amount_nanos    bigint not null check (amount_nanos between 1 and 10000000000000),
    max_redemptions int not null check (max_redemptions > 0),
    redemptions     int not null default 0,
    live_from       timestamptz,
    expires_at      timestamptz check (expires_at > live_from),
    credit_days     int check (credit_days > 0),
    is_active       boolean not null default true,
    created_at      timestamptz not null default now(),
    check (redemptions between 0 and max_redemptions)
);
comment on table gateway.coupons is
    'What a code gives, in lower case, however it is typed. live_from and expires_at: when it may be redeemed; credit_days: for how long its credit lasts then, null for ever.';

create table gateway.coupon_redemptions (
    id           bigint generated always as identity primary key,
    code         text not null references gateway.coupons,
    account_id   bigint not null references gateway.accounts,
    lot_id       bigint not null references gateway.lots,
    amount_nanos bigint not null check (amount_nanos > 0),
    expires_at   timestamptz,
    created_at   timestamptz not null default now(),
    unique (code, account_id)
);
comment on table gateway.coupon_redemptions is
    'Which account has redeemed which coupon. That a person redeems one once, whatever account he has, is in gateway.remembered_people.';
create index coupon_redemptions_by_account on gateway.coupon_redemptions (account_id, id);

alter table gateway.coupons enable row level security;
alter table gateway.coupon_redemptions enable row level security;

create function gateway.coupon_refusal(p_code text, p_account_id bigint, p_now timestamptz) returns jsonb
language plpgsql stable
as $$
declare
    v_coupon gateway.coupons;
begin
    select * into v_coupon from gateway.coupons where code = p_code and is_active and (live_from is null or live_from <= p_now);
    if not found then
        return gateway.refusal(404, 'unknown_coupon');
    end if;
    if exists (select from gateway.coupon_redemptions where code = p_code and account_id = p_account_id) then
        return gateway.refusal(409, 'coupon_already_redeemed');
    end if;
    if v_coupon.expires_at <= p_now then
        return gateway.refusal(409, 'coupon_expired');
    end if;
    if v_coupon.redemptions >= v_coupon.max_redemptions then
        return gateway.refusal(409, 'coupon_used_up');
    end if;
    return null;
end $$;
comment on function gateway.coupon_refusal is 'May this account redeem this coupon, as far as reading tells? Null is yes.';

create function gateway.count_redemption(p_code text, p_now timestamptz) returns gateway.coupons
language sql
as $$
    update gateway.coupons set redemptions = redemptions + 1
     where code = p_code and is_active and redemptions < max_redemptions
       and (live_from is null or live_from <= p_now) and (expires_at is null or expires_at > p_now)
    returning *
$$;
comment on function gateway.count_redemption is
    'Takes one of a coupon''s redemptions; null where none is left. All who redeem it wait here for each other, so it is the last lock that is taken.';

create function gateway.redeem(p_coupon gateway.coupons, p_account_id bigint, p_now timestamptz) returns bigint
language plpgsql
as $$
declare
    -- Hours, since a day of a session's own time zone may have 23 of them.
    v_expires_at timestamptz := p_now + make_interval(hours => 24 * p_coupon.credit_days);
    v_credited   jsonb;
    v_id         bigint;
begin
    v_credited := api.credit_account(p_account_id, p_coupon.amount_nanos, 'promo', 'coupon:' || p_coupon.code, p_coupon.code,
                                     p_expires_at => v_expires_at);
    insert into gateway.coupon_redemptions (code, account_id, lot_id, amount_nanos, expires_at, created_at)
    values (p_coupon.code, p_account_id, (v_credited ->> 'lot_id')::bigint, p_coupon.amount_nanos, v_expires_at, p_now)
    returning id into v_id;
    return v_id;
end $$;

create function gateway.redemption_view(p_redemption gateway.coupon_redemptions) returns jsonb
language sql immutable
as $$
    select jsonb_build_object('id', p_redemption.id, 'code', p_redemption.code, 'amount_nanos', p_redemption.amount_nanos,
                              'expires_at', p_redemption.expires_at, 'created_at', p_redemption.created_at)
$$;

create function api.redeem_coupon(p_caller jsonb, p_code text, p_person jsonb, p_receipt jsonb default null) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v         record;
    v_person  gateway.known_person := gateway.read_known_person(p_person);
    v_code    text := lower(p_code);
    v_refusal jsonb;
    v_coupon  gateway.coupons;
    v_id      bigint;
begin
    select * into v from gateway.enter_for_gift(p_caller, v_person, p_receipt);
    if v.answer is not null then
        return v.answer;
    end if;
    v_id := (v.earlier -> 'result' ->> 'id')::bigint;
    if v_id is null then
        -- Nobody signs in to an account that an operator has made: it is one person by itself.
        v_refusal := coalesce(case when (v.account).privy_id is not null then gateway.person_refusal(v.account) end,
                              gateway.coupon_refusal(v_code, (v.account).id, v.at));
        if v_refusal is null and not gateway.give_once('coupon:' || v_code, v_person) then
            v_refusal := gateway.refusal(409, 'coupon_already_redeemed');
        end if;
        if v_refusal is null then
            select * into v_coupon from gateway.count_redemption(v_code, v.at);
            if v_coupon.code is null then
                -- Its last one was taken, or its time was over, since it was looked at.
                perform gateway.give_again('coupon:' || v_code, v_person);
                v_refusal := coalesce(gateway.coupon_refusal(v_code, (v.account).id, v.at), gateway.refusal(409, 'coupon_used_up'));
            end if;
        end if;
        if v_refusal is not null then
            return v_refusal || gateway.policy_of(v.key);
        end if;
        v_id := gateway.redeem(v_coupon, (v.account).id, v.at);
        perform gateway.write_audit((v.account).id, case (v.key).kind when 'session' then 'user' else 'key' end, (v.key).id,
                                    'coupon_redeemed', v_code, jsonb_build_object('amount_nanos', v_coupon.amount_nanos),
                                    gateway.read_caller(p_caller));
        perform gateway.keep_receipt((v.account).id, p_receipt, jsonb_build_object('id', v_id));
    end if;
    return (select gateway.answer('redemption', v.key, jsonb_build_object('redemption', gateway.redemption_view(redemption),
                                                                          'is_replayed', v.earlier is not null))
              from gateway.coupon_redemptions as redemption where redemption.id = v_id);
end $$;
comment on function api.redeem_coupon is
    'Gives what a code stands for, once to each account and each person, and no more often than the coupon allows.';

create function api.list_redemptions(p_caller jsonb, p_limit int, p_before bigint default null) returns jsonb
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
        select gateway.answer('redemptions', v.key, jsonb_build_object(
                   'redemptions', coalesce(jsonb_agg(gateway.redemption_view(redemption) order by redemption.id desc), '[]')))
          from (select * from gateway.coupon_redemptions
                 where account_id = (v.key).account_id and (p_before is null or id < p_before)
                 order by id desc limit p_limit) as redemption);
end $$;
comment on function api.list_redemptions is 'The coupons that the key''s account has redeemed, newest first; p_before is the id where the last page ended.';
