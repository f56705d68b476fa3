-- Who has a payment taken back by his bank spends nothing until that is decided, or what it took is repaid. He may look, and pay.

create function gateway.is_disputed(p_account gateway.accounts) returns boolean
language plpgsql stable
as $$
begin
    -- A debt ends without a payment too, when a hold gives back, so it is looked at and not kept.
    return case p_account.dispute_status when 'open' then true
                when 'lost' then exists (select from gateway.wallets where account_id = p_account.id and owed_nanos > 0)
                else false end;
end $$;

create or replace function gateway.caller_refusal(p_key gateway.api_keys, p_caller gateway.caller) returns jsonb
language plpgsql stable
as $$
declare
    v_account gateway.accounts;
begin
    select * into strict v_account from gateway.accounts where id = p_key.account_id;
    if v_account.status = 'deleted' then
        return gateway.refusal(401, 'invalid_api_key');
    end if;
    if p_key.ip_allowlist is not null and (p_caller.address <<= any (p_key.ip_allowlist)) is not true then
        return gateway.refusal(403, 'address_not_allowed');
    end if;
    if p_key.allowed_domains is not null
       and (p_caller.origin_host is null or not gateway.matches_domain(p_caller.origin_host, p_key.allowed_domains)) then
        return gateway.refusal(403, 'domain_not_allowed');
    end if;
    if p_caller.scope is not null and not p_caller.scope = any (p_key.scopes) then
        return gateway.refusal(403, 'missing_scope', jsonb_build_object('scope', p_caller.scope));
    end if;
    if p_caller.scope is null or p_caller.scope like '%:read' or p_caller.scope = 'billing:write' then
        return null;
    end if;
    -- Last, since some calls pass over these and over nothing else. Who is suspended may still look, and pay what he owes.
    if v_account.status <> 'active' then
        return gateway.refusal(403, 'account_suspended');
    end if;
    if v_account.dispute_status is not null and gateway.is_disputed(v_account) then
        return gateway.refusal(403, 'payment_disputed');
    end if;
    return null;
end $$;

create or replace function gateway.enter(
    p_caller jsonb, p_account_id bigint default null, p_may_be_suspended boolean default false,
    out key gateway.api_keys, out refusal jsonb
)
language plpgsql
as $$
declare
    v_caller gateway.caller := gateway.read_caller(p_caller);
    v_now    timestamptz := gateway.clock();
    v_found  record;
begin
    select * into v_found from gateway.find_key(v_caller, v_now);
    key := v_found.key;
    -- Who was deleted and has signed in again is found by the same HMAC, in an account that is not locked.
    if key.id is null or key.account_id <> p_account_id then
        key := null;
        refusal := gateway.refusal(401, 'invalid_api_key');
        return;
    end if;
    refusal := gateway.caller_refusal(key, v_caller);
    if refusal ->> 'code' = 'invalid_api_key' then
        key := null;
        return;
    end if;
    if p_may_be_suspended and refusal ->> 'code' in ('account_suspended', 'payment_disputed') then
        refusal := null;
    end if;
    if v_found.key_hmac <> v_caller.key_hmacs[1] then
        perform gateway.move_secret(v_found.key_hmac, v_caller.key_hmacs[1]);
    end if;
    if refusal is not null then
        perform gateway.note_refusal(key, refusal ->> 'code', v_caller);
        refusal := refusal || jsonb_build_object('policy', gateway.limits_policy(key.id));
    end if;
end $$;

create or replace function gateway.standing(p_account gateway.accounts, p_now timestamptz) returns text
language sql stable
as $$
    -- Whatever became of it: who has bought once is on trial no more.
    select case when p_account.status <> 'active' or gateway.is_disputed(p_account) then 'suspended'
                when gateway.running_trial(p_account.id, p_now) is not null
                     and not exists (select from gateway.lots where account_id = p_account.id and kind in ('purchase', 'plan')) then 'trial'
                else 'active' end
$$;
