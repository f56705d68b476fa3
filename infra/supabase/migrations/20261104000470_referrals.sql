-- Referrals: who brings somebody that buys is rewarded, and so is who was brought. Each gets his part under his own locks alone.

create function gateway.referral_nanos() returns bigint
language sql immutable
as $$ select 5000000000 $$;
comment on function gateway.referral_nanos is 'What each of the two is rewarded with.';

create function gateway.referral_purchase_nanos() returns bigint
language sql immutable
as $$ select 10000000000 $$;
comment on function gateway.referral_purchase_nanos is 'The least that somebody who was referred has to buy at once, tax apart.';

create table gateway.referral_codes (
    account_id bigint primary key references gateway.accounts,
    code       text not null unique check (code ~ '^[0-9a-f]{10}$'),
    created_at timestamptz not null default now()
);
comment on table gateway.referral_codes is 'By which code an account refers others; made when its owner first asks, gone with his account.';
alter table gateway.referral_codes enable row level security;

create table gateway.referrals (
    referred_id bigint primary key references gateway.accounts,
    referrer_id bigint not null check (referrer_id <> referred_id),
    code        text not null,
    payment_id  text,
    is_earned   boolean not null default false check (payment_id is not null or not is_earned),
    is_settled  boolean not null default true,
    applied_at  timestamptz not null,
    created_at  timestamptz not null default now()
);
-- No foreign key to the referrer: checking it would lock the account of someone else.
comment on table gateway.referrals is
    'Who was brought by whom. payment_id: the purchase that earns the reward; is_earned: whether enough of it stands; is_settled: whether the referrer has, or has no more, what that says.';
create index referrals_by_referrer on gateway.referrals (referrer_id);
create index referrals_to_settle on gateway.referrals (referrer_id) where not is_settled;
alter table gateway.referrals enable row level security;

create function gateway.settle_reward(p_account_id bigint, p_payment_id text, p_is_earned boolean, p_now timestamptz) returns void
language plpgsql
as $$
declare
    -- Not the payment itself: what is taken back for that is not taken from here, and its id is not the referrer's to read.
    v_source text := 'referral:' || p_payment_id;
    v_given  bigint;
    v_count  int;
begin
    update gateway.lots set is_revoked = not p_is_earned
     where account_id = p_account_id and kind = 'referral' and source = v_source and not is_closed;
    perform gateway.take_revoked(p_account_id, p_now);
    perform gateway.note_claims(p_account_id);
    select coalesce(sum(amount_nanos - taken_nanos), 0), count(*) into v_given, v_count
      from gateway.lots where account_id = p_account_id and kind = 'referral' and source = v_source;
    if p_is_earned and v_given < gateway.referral_nanos() then
        perform api.credit_account(p_account_id, gateway.referral_nanos() - v_given, 'referral', v_source || ':' || v_count, v_source);
    end if;
end $$;
comment on function gateway.settle_reward is
    'Gives a locked account the reward that a payment earns it, or takes back what is left of it; what is spent is not owed. Again changes nothing; where the payment stands again, such as after a dispute that was won, so does the reward.';

create function gateway.find_referrer(
    p_code text, p_account gateway.accounts, out referrer_id bigint, out is_same_person boolean, out is_somebody_else boolean
)
language sql stable
as $$
    select owner.id, owner.id = p_account.id or (owner.email_normalised = p_account.email_normalised) is true,
           (owner.id <> p_account.id and owner.email_normalised <> p_account.email_normalised) is true
      from gateway.referral_codes as code join gateway.accounts as owner on owner.id = code.account_id
     where code.code = lower(p_code) and owner.status <> 'deleted'
$$;
comment on function gateway.find_referrer is
    'Whose code it is, null for nobody''s; and whether that is who comes with it, or is surely somebody else: of who has no verified address, neither is known.';

create function gateway.may_be_given(p_account gateway.accounts) returns boolean
language sql stable
as $$ select p_account.status = 'active' and not gateway.is_disputed(p_account) $$;
comment on function gateway.may_be_given is 'Whether it is an account that gifts and rewards are for now; who is suspended, or disputes what he has paid, is given nothing.';

create function gateway.refer(p_account gateway.accounts, p_code text, p_now timestamptz) returns void
language sql
as $$
    insert into gateway.referrals (referred_id, referrer_id, code, applied_at, created_at)
    select p_account.id, found.referrer_id, lower(p_code), p_now, p_now
      from gateway.find_referrer(p_code, p_account) as found where not found.is_same_person
    on conflict (referred_id) do nothing
$$;
comment on function gateway.refer is
    'Writes down who has brought a locked account: for who has been found to have come by no code before, and by nobody else. The first code counts; one that is nobody''s, or his own, does nothing.';

create function gateway.standing_nanos(p_payment gateway.payments) returns bigint
language sql stable
as $$
    select p_payment.money_nanos - gateway.share_gone(p_payment.money_nanos, p_payment.received_cents, p_payment.refunded_cents + p_payment.disputed_cents)
$$;
comment on function gateway.standing_nanos is 'What is left of a payment, tax apart, by what Stripe says; 0 of one that was not granted.';

create function gateway.came_by_him(p_referral gateway.referrals) returns boolean
language sql stable
as $$
    select exists (select from gateway.referrals as other
                    where other.referred_id = p_referral.referrer_id and other.referrer_id = p_referral.referred_id
                      and (other.applied_at, other.referred_id) < (p_referral.applied_at, p_referral.referred_id))
$$;
comment on function gateway.came_by_him is 'Whether the referrer was himself brought, and earlier, by whom he has brought: of two who have brought each other, at once, one has.';

create function gateway.note_purchase(p_payment gateway.payments, p_now timestamptz) returns void
language plpgsql
as $$
declare
    v_account   gateway.accounts;
    v_referral  gateway.referrals;
    v_is_earned boolean;
begin
    select * into v_account from gateway.accounts where id = p_payment.account_id;
    -- Locked, for whoever is settling it with the referrer at this moment.
    select * into v_referral from gateway.referrals where referred_id = p_payment.account_id for update;
    v_is_earned := gateway.standing_nanos(p_payment) >= gateway.referral_purchase_nanos();
    if v_referral.payment_id is null and v_is_earned and gateway.may_be_given(v_account)
       and exists (select from gateway.find_referrer(v_referral.code, v_account) as found where found.is_somebody_else)
       and not gateway.came_by_him(v_referral) then
        v_referral.payment_id := p_payment.id;
    end if;
    if v_referral.payment_id is distinct from p_payment.id or v_referral.is_earned = v_is_earned then
        return;
    end if;
    update gateway.referrals set payment_id = p_payment.id, is_earned = v_is_earned, is_settled = false
     where referred_id = p_payment.account_id;
    perform gateway.settle_reward(p_payment.account_id, p_payment.id, v_is_earned, p_now);
    perform gateway.write_audit(p_payment.account_id, 'stripe', null, case when v_is_earned then 'referral_rewarded' else 'referral_revoked' end,
                                p_payment.id, '{}', null);
end $$;
comment on function gateway.note_purchase is
    'Rewards a buyer who was referred, by his first purchase that is large enough, and takes back what is left of it where that is not so any more. Under his locks, whenever a payment was posted; the referrer''s part is for api.reward_referrer.';

create function api.due_referrers(p_limit int default 100, p_payment_id text default null) returns jsonb
language sql stable security definer set search_path = ''
as $$
    select coalesce(jsonb_agg(referrer_id order by referrer_id), '[]')
      from (select distinct referral.referrer_id
              from gateway.referrals as referral join gateway.accounts as account on account.id = referral.referrer_id
             where not referral.is_settled and (p_payment_id is null or referral.payment_id = p_payment_id)
               and (not referral.is_earned or account.status = 'deleted' or gateway.may_be_given(account))
             order by referral.referrer_id limit p_limit) as due
$$;
comment on function api.due_referrers is
    'The accounts that have earned a reward, or have earned one no more, and have not been told so by the ledger; by this payment, or by any. Who is suspended, or has a dispute, is due when he is not any more.';

create function api.reward_referrer(p_account_id bigint) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v_account  gateway.accounts;
    v_referral gateway.referrals;
    v_now      timestamptz;
    v_count    int := 0;
begin
    -- One account a call: whoever held two could wait for someone who waits for him. A busy one is for a later time.
    select * into v_account from gateway.accounts where id = p_account_id for no key update skip locked;
    if not found then
        return jsonb_build_object('count', 0);
    end if;
    v_now := gateway.lock_wallet(p_account_id);
    perform gateway.bring_to_time(p_account_id, v_now);
    for v_referral in
        select * from gateway.referrals
         where referrer_id = p_account_id and not is_settled
           -- What was earned waits for who may be given nothing now; what is to be taken back does not.
           and (not is_earned or v_account.status = 'deleted' or gateway.may_be_given(v_account))
         order by referred_id limit 100 for update
    loop
        if v_account.status <> 'deleted' or not v_referral.is_earned then
            perform gateway.settle_reward(p_account_id, v_referral.payment_id, v_referral.is_earned, v_now);
            perform gateway.write_audit(p_account_id, 'system', null,
                                        case when v_referral.is_earned then 'referral_rewarded' else 'referral_revoked' end, null, '{}', null);
        end if;
        update gateway.referrals set is_settled = true where referred_id = v_referral.referred_id;
        v_count := v_count + 1;
    end loop;
    return jsonb_build_object('count', v_count);
end $$;
comment on function api.reward_referrer is
    'Settles what an account has earned, or has earned no more, by those whom it has brought: a hundred of them at once. Twice at once does it once.';

create function gateway.own_referral_code(p_account_id bigint, p_now timestamptz) returns text
language plpgsql
as $$
declare
    v_code text;
begin
    select code into v_code from gateway.referral_codes where account_id = p_account_id;
    for attempt in 1 .. 5 loop
        exit when v_code is not null;
        -- Forty bits: somebody else's about once in a million times where there are a million.
        insert into gateway.referral_codes (account_id, code, created_at)
        values (p_account_id, left(replace(gen_random_uuid()::text, '-', ''), 10), p_now)
        on conflict (code) do nothing
        returning code into v_code;
    end loop;
    return v_code;
end $$;
comment on function gateway.own_referral_code is 'The code of a locked account, made where it has none.';

create function gateway.referral_view(p_account_id bigint, p_now timestamptz) returns jsonb
language sql
as $$
    select jsonb_build_object(
        'code', gateway.own_referral_code(p_account_id, p_now),
        'terms', jsonb_build_object('reward_nanos', gateway.referral_nanos(), 'least_purchase_nanos', gateway.referral_purchase_nanos()),
        'applied', (select jsonb_build_object('code', code, 'applied_at', applied_at, 'is_rewarded', is_earned)
                      from gateway.referrals where referred_id = p_account_id),
        'referred', (select jsonb_build_object('count', count(*), 'rewarded', count(*) filter (where is_earned and is_settled))
                       from gateway.referrals where referrer_id = p_account_id),
        'earned_nanos', (select coalesce(sum(amount_nanos - taken_nanos), 0)::bigint
                           from gateway.lots where account_id = p_account_id and kind = 'referral'))
$$;

create function api.read_referral(p_caller jsonb) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v record;
begin
    select * into v from gateway.enter_locked(p_caller, p_takes_account => true, p_takes_wallet => false);
    return coalesce(v.refusal, gateway.answer('referral', v.key, gateway.referral_view((v.key).account_id, v.at)));
end $$;
comment on function api.read_referral is 'The code by which the key''s account refers others, made at the first look, and what came of it.';

create function gateway.referral_refusal(p_account gateway.accounts, p_code text) returns jsonb
language plpgsql stable
as $$
declare
    v_refusal jsonb := gateway.person_refusal(p_account);
    v_found   record;
begin
    if v_refusal is not null then
        return v_refusal;
    end if;
    select * into v_found from gateway.find_referrer(p_code, p_account);
    return case
        when v_found.referrer_id is null then gateway.refusal(404, 'unknown_referral_code')
        when v_found.is_same_person then gateway.refusal(409, 'own_referral_code')
        when exists (select from gateway.referrals where referred_id = p_account.id) then gateway.refusal(409, 'referral_already_applied')
        when exists (select from gateway.referrals where referred_id = v_found.referrer_id and referrer_id = p_account.id)
            then gateway.refusal(409, 'referral_mutual')
        when exists (select from gateway.lots where account_id = p_account.id and kind in ('purchase', 'plan'))
            then gateway.refusal(409, 'referral_too_late')
    end;
end $$;
comment on function gateway.referral_refusal is 'May this account come with this code, as far as reading tells? Null is yes.';

create function api.apply_referral(p_caller jsonb, p_code text, p_person jsonb, p_receipt jsonb default null) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v         record;
    v_person  gateway.known_person := gateway.read_known_person(p_person);
    v_refusal jsonb;
begin
    select * into v from gateway.enter_for_gift(p_caller, v_person, p_receipt);
    if v.answer is not null then
        return v.answer;
    end if;
    if v.earlier is null then
        v_refusal := gateway.referral_refusal(v.account, p_code);
        if v_refusal is null and not gateway.give_once('referral', v_person) then
            v_refusal := gateway.refusal(409, 'referral_already_applied');
        end if;
        if coalesce(v_refusal ->> 'status', '200') <> '403' then
            -- What he came with has been decided on, and does not come up again; only who he is may still be told.
            update gateway.accounts set signup_referral_code = null
             where id = (v.account).id and (v_refusal is null or lower(signup_referral_code) = lower(p_code));
        end if;
        if v_refusal is not null then
            return v_refusal || gateway.policy_of(v.key);
        end if;
        perform gateway.refer(v.account, p_code, v.at);
        perform gateway.write_audit((v.account).id, case (v.key).kind when 'session' then 'user' else 'key' end, (v.key).id,
                                    'referral_applied', lower(p_code), '{}', gateway.read_caller(p_caller));
        perform gateway.keep_receipt((v.account).id, p_receipt, '{}');
    end if;
    return gateway.answer('referral', v.key, gateway.referral_view((v.key).account_id, v.at)
                                          || jsonb_build_object('is_replayed', v.earlier is not null));
end $$;
comment on function api.apply_referral is
    'Says who has brought the owner of the key''s account: before he has bought anything, and once in his life. Nothing else refers anybody: here he is known by what outlives his account.';

create or replace function gateway.signed_in(p_account_id bigint, p_session_id bigint, p_is_new_user boolean) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'verdict', 'signed_in', 'is_new_user', p_is_new_user, 'policy', gateway.limits_policy(p_session_id),
        -- Whose address is not known cannot come by it yet.
        'referral_code', case when email_normalised is not null then signup_referral_code end,
        'user', jsonb_build_object('id', id, 'email', email, 'name', name, 'status', status, 'plan_id', plan_id, 'created_at', created_at))
      from gateway.accounts where id = p_account_id
$$;
comment on function gateway.signed_in is 'Who is in; referral_code: what he came with first, where it has not been decided on yet.';
