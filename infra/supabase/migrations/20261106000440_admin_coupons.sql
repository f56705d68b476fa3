-- Coupons as admins make, see and change them.

create function gateway.coupon_view(p_coupon gateway.coupons) returns jsonb
language sql immutable
as $$
    select jsonb_build_object(
               'code', p_coupon.code, 'amount_nanos', p_coupon.amount_nanos, 'max_redemptions', p_coupon.max_redemptions,
               'redemptions', p_coupon.redemptions, 'live_from', p_coupon.live_from, 'expires_at', p_coupon.expires_at,
               'credit_days', p_coupon.credit_days, 'is_active', p_coupon.is_active, 'created_at', p_coupon.created_at)
$$;

create function api.list_coupons(p_admin jsonb, p_limit int, p_after text default null) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v         record;
    v_coupons jsonb;
begin
    select * into v from gateway.enter_admin(p_admin);
    if v.refusal is not null then
        return v.refusal;
    end if;
    select coalesce(jsonb_agg(gateway.coupon_view(page) order by page.code), '[]') into v_coupons
      from (select * from gateway.coupons where code > coalesce(p_after, '') order by code limit p_limit) as page;
    return gateway.admin_answer(v.admin, 'coupons', jsonb_build_object('coupons', v_coupons));
end $$;
comment on function api.list_coupons is 'A page of coupons by their codes, those after one.';

create function api.create_coupon(p_admin jsonb, p_coupon jsonb, p_receipt jsonb default null) returns jsonb
language plpgsql security definer set search_path = '' set lock_timeout = '4s'
as $$
declare
    v        record;
    v_answer jsonb;
    v_asked  gateway.coupons := jsonb_populate_record(null::gateway.coupons, p_coupon);
    v_coupon gateway.coupons;
begin
    select * into v from gateway.enter_admin_to_change(p_admin);
    v_answer := coalesce(v.refusal, gateway.admin_replay(v.admin, p_receipt));
    if v_answer is not null then
        return v_answer;
    end if;
    insert into gateway.coupons (code, amount_nanos, max_redemptions, live_from, expires_at, credit_days, created_at)
    values (lower(v_asked.code), v_asked.amount_nanos, v_asked.max_redemptions, v_asked.live_from, v_asked.expires_at, v_asked.credit_days, v.at)
    on conflict (code) do nothing
    returning * into v_coupon;
    if not found then
        return gateway.refusal(409, 'coupon_exists', jsonb_build_object('code', lower(v_asked.code))) || gateway.policy_of_admin(v.admin);
    end if;
    perform gateway.write_admin_event(v.admin, null, 'coupon_created', v_coupon.code, jsonb_build_object(
                                          'amount_nanos', v_coupon.amount_nanos, 'max_redemptions', v_coupon.max_redemptions));
    return gateway.admin_answer(v.admin, 'coupon', jsonb_build_object('coupon', gateway.coupon_view(v_coupon)), p_receipt);
end $$;
comment on function api.create_coupon is 'Makes a coupon, active from live_from on; what it gives never changes.';

create function api.update_coupon(p_admin jsonb, p_code text, p_changes jsonb, p_receipt jsonb default null) returns jsonb
language plpgsql security definer set search_path = '' set lock_timeout = '4s'
as $$
declare
    v        record;
    v_answer jsonb;
    v_before gateway.coupons;
    v_after  gateway.coupons;
begin
    if exists (select from jsonb_object_keys(p_changes) as name where name not in ('max_redemptions', 'live_from', 'expires_at', 'is_active')) then
        raise exception 'nothing of a coupon that changes: %', p_changes using errcode = 'invalid_parameter_value';
    end if;
    select * into v from gateway.enter_admin_to_change(p_admin);
    v_answer := coalesce(v.refusal, gateway.admin_replay(v.admin, p_receipt));
    if v_answer is not null then
        return v_answer;
    end if;
    -- Whoever redeems it at this moment is counted first.
    select * into v_before from gateway.coupons where code = lower(p_code) for update;
    if not found then
        return gateway.refusal(404, 'coupon_not_found') || gateway.policy_of_admin(v.admin);
    end if;
    v_after := jsonb_populate_record(v_before, p_changes);
    if v_after.max_redemptions < v_before.redemptions then
        return gateway.refusal(409, 'coupon_redeemed_more', jsonb_build_object('redemptions', v_before.redemptions)) || gateway.policy_of_admin(v.admin);
    elsif v_after.expires_at <= v_after.live_from then
        return gateway.refusal(400, 'coupon_never_live') || gateway.policy_of_admin(v.admin);
    end if;
    if v_after is distinct from v_before then
        update gateway.coupons
           set max_redemptions = v_after.max_redemptions, live_from = v_after.live_from, expires_at = v_after.expires_at, is_active = v_after.is_active
         where code = v_before.code;
        perform gateway.write_admin_event(v.admin, null, 'coupon_updated', v_before.code, p_changes);
    end if;
    return gateway.admin_answer(v.admin, 'coupon', jsonb_build_object('coupon', gateway.coupon_view(v_after)), p_receipt);
end $$;
comment on function api.update_coupon is 'Changes how often and when a coupon may be redeemed, or switches it off and on. Again changes nothing.';
