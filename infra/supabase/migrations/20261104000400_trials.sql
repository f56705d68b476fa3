-- Trials, and what else is given once to a person: known again by HMACs that outlive his account.

-- Who left before anything was given once has had nothing of it.
delete from gateway.remembered_people;
alter table gateway.remembered_people
    add column gift text not null check (gift ~ '^(trial|referral|coupon:[a-z0-9_-]+)$'),
    drop constraint remembered_people_pkey,
    add primary key (gift, person_hmac);
comment on table gateway.remembered_people is
    'Who has had what is given once to a person, as the HMAC of his Privy id or mailbox: written when it is given, it outlives the account, and tells nobody who it was. Its first four bytes name the secret of ours it stands under.';
comment on column gateway.remembered_people.gift is 'What he has had: the trial, a reward for having been referred, or the credit of a coupon.';

create type gateway.known_person as (privy_id text, privy_id_hmacs text[], email_normalised text, email_hmacs text[]);
comment on type gateway.known_person is
    'Whose account it is, and the HMACs (hex) of what he is known by: one per secret of ours, newest first.';

create function gateway.read_known_person(p_person jsonb) returns gateway.known_person
language plpgsql immutable
as $$
declare
    v_person gateway.known_person := jsonb_populate_record(null::gateway.known_person, p_person);
begin
    -- Someone without his HMACs would be given everything anew.
    if (v_person.privy_id is null) <> (coalesce(cardinality(v_person.privy_id_hmacs), 0) = 0)
       or (v_person.email_normalised is null) <> (coalesce(cardinality(v_person.email_hmacs), 0) = 0) then
        raise exception 'a person is known by HMACs of each thing he is known by' using errcode = 'invalid_parameter_value';
    end if;
    return v_person;
end $$;

create function gateway.remember(p_gift text, p_kind text, p_hmacs text[]) returns boolean
language plpgsql
as $$
declare
    v_hmacs   bytea[] := array(select decode(hmac, 'hex') from unnest(p_hmacs) with ordinality as given (hmac, position) order by position);
    v_written int;
begin
    -- Under all secrets, and in one order: whoever writes the same person at this moment waits here, also where his
    -- server has another newest secret, and finds what this one has left.
    insert into gateway.remembered_people (gift, person_hmac, kind, created_at)
    select p_gift, hmac, p_kind, gateway.clock() from (select distinct hmac from unnest(v_hmacs) as hmac) as each order by hmac
    on conflict (gift, person_hmac) do nothing;
    get diagnostics v_written = row_count;
    -- The newest says it for all. One that was found under an older secret has moved to it by this.
    delete from gateway.remembered_people where gift = p_gift and person_hmac = any (v_hmacs[2:]) and person_hmac <> v_hmacs[1];
    return v_written = (select count(distinct hmac) from unnest(v_hmacs) as hmac);
end $$;

create function gateway.give_once(p_gift text, p_person gateway.known_person) returns boolean
language plpgsql
as $$
begin
    if not gateway.remember(p_gift, 'email', coalesce(p_person.email_hmacs, '{}')) then
        return false;
    end if;
    if not gateway.remember(p_gift, 'privy_id', coalesce(p_person.privy_id_hmacs, '{}')) then
        -- Written by the line above, just now: the mailbox itself was given nothing.
        perform gateway.give_again(p_gift, row(null, null, p_person.email_normalised, p_person.email_hmacs)::gateway.known_person);
        return false;
    end if;
    return true;
end $$;
comment on function gateway.give_once is
    'True for one call in all: that this person has not had this gift, and has it now. Comes after the locks of account, wallet and keys, and before those of what is counted for all, such as a coupon.';

create function gateway.give_again(p_gift text, p_person gateway.known_person) returns void
language sql
as $$
    delete from gateway.remembered_people
     where gift = p_gift and person_hmac in (select decode(hmac, 'hex') from unnest(p_person.email_hmacs || p_person.privy_id_hmacs) as hmac)
$$;
comment on function gateway.give_again is 'Takes back what gateway.give_once has written in the same transaction, where nothing came of it.';

create function gateway.enter_for_gift(
    p_caller jsonb, p_person gateway.known_person, p_receipt jsonb,
    out key gateway.api_keys, out account gateway.accounts, out at timestamptz, out earlier jsonb, out answer jsonb
)
language plpgsql
as $$
declare
    v         record;
    v_refusal jsonb;
begin
    select * into v from gateway.enter_locked(p_caller, p_takes_account => true, p_takes_wallet => true);
    key := v.key;
    at := v.at;
    answer := v.refusal;
    if answer is not null then
        return;
    end if;
    earlier := gateway.find_receipt((key).account_id, p_receipt);
    if earlier ->> 'verdict' = 'refused' then
        answer := earlier || gateway.policy_of(key);
    end if;
    if earlier is not null then
        return;
    end if;
    select * into account from gateway.accounts where id = (key).account_id;
    -- Who is suspended may pay, and is given nothing.
    v_refusal := case when account.status <> 'active' then gateway.refusal(403, 'account_suspended')
                      when gateway.is_disputed(account) then gateway.refusal(403, 'payment_disputed') end;
    if v_refusal is not null then
        perform gateway.note_refusal(key, v_refusal ->> 'code', gateway.read_caller(p_caller));
        answer := v_refusal || gateway.policy_of(key);
    elsif (account.privy_id, account.email_normalised) is distinct from (p_person.privy_id, p_person.email_normalised) then
        answer := gateway.answer('person_changed', key, '{}');
    end if;
end $$;
comment on function gateway.enter_for_gift is
    'The door for whoever is given something: locks account and wallet. earlier: what the same request was answered before; answer: what he is told where nothing is given.';

create function gateway.trial_days() returns int
language sql immutable
as $$ select 3 $$;
comment on function gateway.trial_days is 'How long a trial lasts, in days of 24 hours.';

create function gateway.trial_nanos() returns bigint
language sql immutable
as $$ select 10000000000 $$;
comment on function gateway.trial_nanos is 'How much credit a trial is.';

create table gateway.trials (
    account_id  bigint primary key references gateway.accounts,
    lot_id      bigint not null references gateway.lots,
    started_at  timestamptz not null,
    ends_at     timestamptz not null,
    reminded_at timestamptz,
    ended_at    timestamptz,
    created_at  timestamptz not null default now(),
    check (ends_at > started_at)
);
comment on table gateway.trials is
    'The one trial of an account. Its credit ends by itself, at ends_at; reminded_at and ended_at are when the job has come by to say so.';
create index trials_open on gateway.trials (ends_at) where ended_at is null;
alter table gateway.trials enable row level security;

create function gateway.trial_view(p_account_id bigint, p_now timestamptz) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
               'state', case when trial.account_id is null then 'none' when trial.ends_at > p_now then 'active' else 'ended' end,
               'started_at', trial.started_at, 'ends_at', trial.ends_at, 'amount_nanos', lot.amount_nanos,
               'remaining_nanos', case when trial.ends_at > p_now then lot.remaining_nanos else 0 end,
               'terms', jsonb_build_object('days', gateway.trial_days(), 'amount_nanos', gateway.trial_nanos()))
      from (select p_account_id as id) as account
      left join gateway.trials as trial on trial.account_id = account.id
      left join gateway.lots as lot on lot.id = trial.lot_id
$$;

create function gateway.person_refusal(p_account gateway.accounts) returns jsonb
language sql stable
as $$
    select case when p_account.privy_id is null then gateway.refusal(403, 'person_unknown')
                when p_account.email_normalised is null then gateway.refusal(403, 'verified_email_required') end
$$;
comment on function gateway.person_refusal is
    'Is it known whose account this is, by his sign-in and by his mailbox? Null is yes. Sign-ins alone are to be had without end.';

create function gateway.trial_refusal(p_account gateway.accounts, p_person gateway.known_person) returns jsonb
language plpgsql
as $$
declare
    v_refusal jsonb := gateway.person_refusal(p_account);
begin
    if v_refusal is not null then
        return v_refusal;
    end if;
    if exists (select from gateway.trials where account_id = p_account.id) or not gateway.give_once('trial', p_person) then
        return gateway.refusal(409, 'trial_already_used');
    end if;
    return null;
end $$;
comment on function gateway.trial_refusal is 'May this person have a trial? Null is yes, once: he is remembered by it.';

create function gateway.make_trial(p_account_id bigint, p_now timestamptz) returns gateway.trials
language plpgsql
as $$
declare
    -- Hours, since a day of a session's own time zone may have 23 of them.
    v_ends_at  timestamptz := p_now + make_interval(hours => 24 * gateway.trial_days());
    v_credited jsonb;
    v_trial    gateway.trials;
begin
    v_credited := api.credit_account(p_account_id, gateway.trial_nanos(), 'trial', 'trial', p_expires_at => v_ends_at);
    insert into gateway.trials (account_id, lot_id, started_at, ends_at, created_at)
    values (p_account_id, (v_credited ->> 'lot_id')::bigint, p_now, v_ends_at, p_now)
    returning * into v_trial;
    return v_trial;
end $$;

create function gateway.flag_trial_by_shared_card(p_account_id bigint) returns void
language plpgsql
as $$
begin
    update gateway.accounts set flags = flags || '{shared_card}'
     where id = p_account_id and not 'shared_card' = any (flags)
       and exists (select from gateway.payments as own
                     join gateway.payments as other using (card_fingerprint_hmac)
                     join gateway.trials as trial on trial.account_id = other.account_id
                    where own.account_id = p_account_id and other.account_id <> p_account_id);
    if found then
        perform gateway.write_audit(p_account_id, 'system', null, 'account_flagged', null, '{"flag": "shared_card"}', null);
    end if;
end $$;
comment on function gateway.flag_trial_by_shared_card is
    'Marks who begins a trial and has paid by a card that another account, which had one, has paid by. Nothing is refused for it.';

create function api.start_trial(p_caller jsonb, p_person jsonb, p_receipt jsonb default null) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v         record;
    v_person  gateway.known_person := gateway.read_known_person(p_person);
    v_refusal jsonb;
    v_trial   gateway.trials;
begin
    select * into v from gateway.enter_for_gift(p_caller, v_person, p_receipt);
    if v.answer is not null then
        return v.answer;
    end if;
    if v.earlier is null then
        v_refusal := gateway.trial_refusal(v.account, v_person);
        if v_refusal is not null then
            return v_refusal || gateway.policy_of(v.key);
        end if;
        v_trial := gateway.make_trial((v.account).id, v.at);
        perform gateway.flag_trial_by_shared_card((v.account).id);
        perform gateway.write_audit((v.account).id, case (v.key).kind when 'session' then 'user' else 'key' end, (v.key).id,
                                    'trial_started', null, '{}', gateway.read_caller(p_caller));
        perform gateway.put_mail((v.account).id, 'trial_started',
                                 jsonb_build_object('amount_nanos', gateway.trial_nanos(), 'ends_at', v_trial.ends_at), 'once', v.at);
        perform gateway.keep_receipt((v.account).id, p_receipt, '{}');
    end if;
    return gateway.answer('trial', v.key, gateway.trial_view((v.key).account_id, v.at)
                                       || jsonb_build_object('is_replayed', v.earlier is not null));
end $$;
comment on function api.start_trial is
    'Gives the owner of the key''s account his trial: credit that ends by itself. Once in his life, whichever account he has and had, by his Privy id and by his mailbox.';

create function api.read_trial(p_caller jsonb) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v record;
begin
    select * into v from gateway.enter(p_caller);
    return coalesce(v.refusal, gateway.answer('trial', v.key, gateway.trial_view((v.key).account_id, gateway.clock())));
end $$;
comment on function api.read_trial is 'The trial of the key''s account: none, active or ended, what is left of it, and what a trial is.';

create function api.due_trials(p_limit int default 100) returns jsonb
language sql stable security definer set search_path = ''
as $$
    select coalesce(jsonb_agg(account_id order by ends_at), '[]')
      from (select account_id, ends_at from gateway.trials
             where ended_at is null
               and (ends_at <= gateway.clock() or (reminded_at is null and ends_at <= gateway.clock() + interval '24 hours'))
             order by ends_at limit p_limit) as due
$$;
comment on function api.due_trials is 'The accounts whose trial ends within a day and who were not told so, and those whose trial is over and not closed.';

create function api.expire_trial(p_account_id bigint) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v_now   timestamptz;
    v_trial gateway.trials;
    v_left  bigint;
begin
    -- One account a call: whoever held two could wait for someone who waits for him.
    perform from gateway.accounts where id = p_account_id for no key update;
    v_now := gateway.lock_wallet(p_account_id);
    select * into v_trial from gateway.trials where account_id = p_account_id;
    select remaining_nanos into v_left from gateway.lots where id = v_trial.lot_id;
    if v_trial.ended_at is null and v_trial.ends_at <= v_now then
        perform gateway.bring_to_time(p_account_id, v_now);
        update gateway.trials set ended_at = v_now where account_id = p_account_id;
        perform gateway.put_mail(p_account_id, 'trial_ended', jsonb_build_object('ended_at', v_trial.ends_at), 'once', v_now);
        return jsonb_build_object('verdict', 'ended');
    end if;
    if v_trial.reminded_at is null and v_trial.ended_at is null and v_trial.ends_at <= v_now + interval '24 hours' then
        update gateway.trials set reminded_at = v_now where account_id = p_account_id;
        perform gateway.put_mail(p_account_id, 'trial_ending',
                                 jsonb_build_object('ends_at', v_trial.ends_at, 'remaining_nanos', v_left), 'once', v_now);
        return jsonb_build_object('verdict', 'reminded');
    end if;
    return jsonb_build_object('verdict', 'unchanged');
end $$;
comment on function api.expire_trial is
    'Closes an account''s trial where its time is over, or writes its owner that it will be within a day. Again, or twice at once, changes nothing.';

comment on function api.count_key_secrets is
    'What stands under each secret of SECRET_KEY''s list, by the secret''s name: live keys, sign-ins, secrets to be collected, and marks of what people were given once.';
comment on function api.read_person is
    'Who the owner is, for the HMACs by which he is known again when something is given once: those are made by who has our secrets.';
