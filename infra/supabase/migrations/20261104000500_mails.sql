-- How the outbox is emptied, and whom nobody writes to any more.

create function gateway.mail_lease() returns interval
language sql immutable
as $$ select interval '2 minutes' $$;
comment on function gateway.mail_lease is 'For how long a mail is his who took it. Whoever takes it after that asks Resend under the same Idempotency-Key.';

create function gateway.mail_try_time() returns interval
language sql immutable
as $$ select interval '23 hours' $$;
comment on function gateway.mail_try_time is
    'For how long after the first try a mail may be tried again that may have been sent. Resend knows an Idempotency-Key for 24 hours; after them a second try could be a second mail.';

create function gateway.mail_least_tries() returns int
language sql immutable
as $$ select 3 $$;
comment on function gateway.mail_least_tries is
    'How often at least a mail is tried that has certainly not been sent, where its job runs once a day, too.';

create function gateway.mail_news_time() returns interval
language sql immutable
as $$ select interval '3 days' $$;
comment on function gateway.mail_news_time is
    'For how long what a mail tells is news. A gateway that is set up to send only later does not begin with what was long ago.';

create function gateway.end_mail(p_mail gateway.outbox, p_state text, p_reason text, p_now timestamptz) returns void
language sql
as $$
    update gateway.outbox set state = p_state, ended_at = p_now, last_error = left(p_reason, 500) where id = p_mail.id;
    select api.add_dead_letter('mail', p_mail.id::text, jsonb_build_object('account_id', p_mail.account_id, 'template', p_mail.template),
                               p_reason, p_mail.tries) where p_state = 'dead'
$$;

create function gateway.is_over(p_mail gateway.outbox, p_at timestamptz) returns boolean
language sql stable
as $$
    select p_mail.first_tried_at <= p_at - gateway.mail_try_time()
       and (p_mail.refusals < p_mail.tries or p_mail.tries >= gateway.mail_least_tries()
            or p_mail.created_at <= p_at - gateway.mail_news_time())
$$;
comment on function gateway.is_over is 'Is a mail that was tried, and is not being tried, to be given up by then?';

create function gateway.reason_not_to_send(p_mail gateway.outbox, p_now timestamptz, out state text, out reason text)
language plpgsql stable
as $$
declare
    v_account gateway.accounts;
begin
    if gateway.is_over(p_mail, p_now) then
        state := 'dead';
        reason := coalesce(p_mail.last_error, 'no try came to an end');
        return;
    end if;
    select * into v_account from gateway.accounts where id = p_mail.account_id;
    if not gateway.wants_mail(v_account, gateway.mail_category(p_mail.template)) then
        state := 'dropped';
        reason := 'its owner does not want it any more, or cannot be reached';
    elsif p_mail.tries = 0 and p_mail.created_at <= p_now - gateway.mail_news_time() then
        state := 'dropped';
        reason := 'no news any more';
    end if;
end $$;

create function api.take_due_mails(p_limit int, p_account_id bigint default null) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v_now    timestamptz := gateway.clock();
    v_mail   gateway.outbox;
    v        record;
    v_taken  jsonb := '[]';
    v_ended  int := 0;
begin
    -- Some of those that are due are not to be sent: so many are looked through, and the rest is for the next call.
    for v_mail in
        select * from gateway.outbox
         where state = 'waiting' and due_at <= v_now and (p_account_id is null or account_id = p_account_id)
         order by due_at limit p_limit + 100 for update skip locked
    loop
        exit when jsonb_array_length(v_taken) >= p_limit;
        select * into v from gateway.reason_not_to_send(v_mail, v_now);
        if v.state is not null then
            perform gateway.end_mail(v_mail, v.state, v.reason, v_now);
            v_ended := v_ended + 1;
            continue;
        end if;
        update gateway.outbox
           set tries = tries + 1, first_tried_at = coalesce(first_tried_at, v_now), due_at = v_now + gateway.mail_lease()
         where id = v_mail.id;
        v_taken := v_taken || jsonb_build_object(
            'id', v_mail.id, 'try', v_mail.tries + 1, 'account_id', v_mail.account_id, 'template', v_mail.template,
            'category', gateway.mail_category(v_mail.template), 'address', v_mail.address, 'data', v_mail.data, 'created_at', v_mail.created_at);
    end loop;
    return jsonb_build_object('mails', v_taken, 'ended', v_ended);
end $$;
comment on function api.take_due_mails is
    'Takes mails that are due, of one account or of all, for the time of gateway.mail_lease; whoever asks at the same time takes others. What is not to be sent any more ends here: ended counts it, and only where that is none, too, nothing is due.';

create function api.finish_mail(p_id uuid, p_resend_id text) returns jsonb
language sql security definer set search_path = ''
as $$
    with finished as (
        update gateway.outbox set state = 'sent', ended_at = gateway.clock(), resend_id = p_resend_id, last_error = null
         where id = p_id and state = 'waiting' returning id
    )
    select jsonb_build_object('count', count(*)) from finished
$$;
comment on function api.finish_mail is 'Writes down that a mail was sent, whoever has it by now: under its Idempotency-Key it was sent once.';

create function api.retry_mail(p_id uuid, p_try int, p_after_s int, p_error text, p_is_refused boolean default false) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v_mail gateway.outbox;
    v_now  timestamptz := gateway.clock();
begin
    -- Of the try that is under way: one whose time is over does not speak for the one after it.
    select * into v_mail from gateway.outbox where id = p_id and state = 'waiting' and tries = p_try for update;
    if not found then
        return '{"state": "unchanged"}';
    end if;
    update gateway.outbox set refusals = refusals + p_is_refused::int where id = p_id returning * into v_mail;
    if p_after_s is null or gateway.is_over(v_mail, v_now + make_interval(secs => p_after_s)) then
        perform gateway.end_mail(v_mail, 'dead', p_error, v_now);
        return '{"state": "dead"}';
    end if;
    update gateway.outbox set due_at = v_now + make_interval(secs => p_after_s), last_error = left(p_error, 500) where id = p_id;
    return '{"state": "waiting"}';
end $$;
comment on function api.retry_mail is
    'Writes down that a try failed, and when the next is due; without a time, or where that would be too late, the mail is given up. p_is_refused: Resend itself said no, so that this try has sent nothing.';

create function api.forget_mails(p_limit int default 1000) returns jsonb
language sql security definer set search_path = '' set enable_seqscan = off
as $$
    with forgotten as (
        delete from gateway.outbox
         where id in (select id from gateway.outbox where created_at < gateway.clock() - interval '90 days'
                       order by created_at limit p_limit for update skip locked)
        returning id
    )
    select jsonb_build_object('count', count(*)) from forgotten
$$;
comment on function api.forget_mails is 'Erases what was sent, dropped or given up three months ago.';

create index accounts_by_address on gateway.accounts (lower(email)) where email is not null;
create index outbox_by_address on gateway.outbox (lower(address)) where state = 'waiting';

create table gateway.bounced_addresses (
    address_hash bytea primary key check (length(address_hash) = 32),
    kind         text not null,
    created_at   timestamptz not null default now()
);
comment on table gateway.bounced_addresses is
    'Addresses that nobody writes to, as hashes: whoever has one later, or has it again, is not written to either. They stay when an account goes.';
alter table gateway.bounced_addresses enable row level security;

create function gateway.address_hash(p_address text) returns bytea
language sql stable
as $$ select sha256(convert_to(lower(p_address), 'UTF8')) $$;

create function api.record_bounce(p_address text, p_kind text) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off
as $$
declare
    v_account_id bigint;
    v_count      int := 0;
    v_now        timestamptz := gateway.clock();
begin
    insert into gateway.bounced_addresses (address_hash, kind, created_at)
    values (gateway.address_hash(p_address), p_kind, v_now) on conflict do nothing;
    -- Several may have one address. In one order, so that two of these never wait for each other; nobody else has two accounts locked.
    for v_account_id in
        select id from gateway.accounts where lower(email) = lower(p_address) and email_bounced_at is null order by id for no key update
    loop
        update gateway.accounts set email_bounced_at = v_now where id = v_account_id;
        perform gateway.write_audit(v_account_id, 'system', null, 'email_bounced', null, jsonb_build_object('kind', p_kind), null::gateway.caller);
        v_count := v_count + 1;
    end loop;
    -- Whatever waits for this address, of those, too, who have another by now.
    update gateway.outbox set state = 'dropped', ended_at = v_now, last_error = p_kind
     where id in (select id from gateway.outbox where state = 'waiting' and lower(address) = lower(p_address) order by id for update);
    return jsonb_build_object('count', v_count);
end $$;
comment on function api.record_bounce is 'Has nobody written to at an address from which mail comes back, or whose owner reported it. Again changes nothing.';

create function api.unsubscribe(p_account_id bigint, p_category text) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v_count int;
begin
    if p_category not in ('low_balance', 'trial', 'payments', 'keys', 'usage_report', 'news') then
        raise exception 'there is nothing to unsubscribe from' using errcode = 'invalid_parameter_value';
    end if;
    update gateway.accounts set email_preferences = email_preferences || jsonb_build_object(p_category, false)
     where id = p_account_id and status <> 'deleted' and (email_preferences -> p_category) is distinct from 'false';
    get diagnostics v_count = row_count;
    if v_count > 0 then
        perform gateway.write_audit(p_account_id, 'user', null, 'profile_updated', null,
                                    jsonb_build_object('fields', '["email_preferences"]'::jsonb, 'category', p_category), null::gateway.caller);
    end if;
    return jsonb_build_object('count', v_count);
end $$;
comment on function api.unsubscribe is 'Switches one kind of e-mail off, for whoever has a signed link. Again changes nothing.';

create function api.request_test_mail(p_caller jsonb, p_receipt jsonb) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v         record;
    v_earlier jsonb;
    v_account gateway.accounts;
    v_last    timestamptz;
    v_wait_s  int;
    v_answer  jsonb;
begin
    select * into v from gateway.enter_locked(p_caller, p_takes_account => true, p_takes_wallet => false);
    if v.refusal is not null then
        return v.refusal;
    end if;
    v_earlier := gateway.find_receipt((v.key).account_id, p_receipt);
    if v_earlier ->> 'verdict' = 'refused' then
        return v_earlier || gateway.policy_of(v.key);
    elsif v_earlier is not null then
        return gateway.answer('test_mail', v.key, v_earlier -> 'result' || '{"is_replayed": true}');
    end if;
    select * into v_account from gateway.accounts where id = (v.key).account_id;
    if v_account.email is null then
        return gateway.refusal(409, 'no_email_address') || gateway.policy_of(v.key);
    elsif v_account.email_bounced_at is not null then
        return gateway.refusal(409, 'email_address_bounced') || gateway.policy_of(v.key);
    end if;
    select max(created_at) into v_last from gateway.outbox where account_id = v_account.id and template = 'test';
    v_wait_s := ceil(extract(epoch from v_last + interval '1 minute' - v.at));
    if v_wait_s > 0 then
        return gateway.refusal(429, 'test_email_too_soon', jsonb_build_object('retry_after_s', v_wait_s)) || gateway.policy_of(v.key);
    end if;
    perform gateway.put_mail(v_account.id, 'test', '{}', gen_random_uuid()::text, v.at);
    v_answer := jsonb_build_object('account_id', v_account.id, 'address', v_account.email);
    -- With the address in it: receipts are erased with their account.
    perform gateway.keep_receipt(v_account.id, p_receipt, v_answer);
    return gateway.answer('test_mail', v.key, v_answer || '{"is_replayed": false}');
end $$;
comment on function api.request_test_mail is 'Puts a test mail to the owner into the outbox, at most one a minute.';
