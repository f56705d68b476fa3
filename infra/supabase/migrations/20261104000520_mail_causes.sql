-- E-mails that follow from what happens, wherever it is done: keys, addresses, refused uses, a balance that runs low.

create function gateway.key_facts(p_key_id bigint) returns jsonb
language sql stable
as $$
    select jsonb_build_object('key_id', id, 'name', name, 'masked', masked, 'environment', environment) from gateway.api_keys where id = p_key_id
$$;

create function gateway.mail_of_event() returns trigger
language plpgsql
as $$
declare
    v_day text := (new.created_at at time zone 'UTC')::date::text;
begin
    if new.event = 'account_created' then
        perform gateway.put_mail(new.account_id, 'welcome', '{}', 'once', new.created_at);
    elsif new.event in ('key_created', 'key_rotated') then
        perform gateway.put_mail(new.account_id, new.event, gateway.key_facts(new.subject::bigint) || jsonb_build_object(
                                     'at', new.created_at, 'overlap_hours', new.details -> 'overlap_hours',
                                     'is_by_schedule', coalesce((new.details ->> 'is_by_schedule')::boolean, false)),
                                 new.id::text, new.created_at);
    else
        perform gateway.put_mail(new.account_id, 'security_notice', gateway.key_facts(new.key_id) || jsonb_build_object(
                                     'event', new.event, 'at', new.created_at, 'address', host(new.address),
                                     'origin_host', new.details ->> 'origin_host'),
                                 new.event || ':' || v_day, new.created_at);
    end if;
    return null;
end $$;
comment on function gateway.mail_of_event is
    'Tells an account''s owner what he should know though he may not have done it himself; of uses that were refused once a day.';
create trigger mail_of_event after insert on gateway.audit_log
    for each row when (new.event in ('account_created', 'address_refused', 'domain_refused')
                       -- The first key comes with the account; nobody's key made it.
                       or new.event = 'key_created' and new.key_id is not null or new.event = 'key_rotated')
    execute function gateway.mail_of_event();

create function gateway.start_address_anew() returns trigger
language plpgsql
as $$
begin
    new.email_bounced_at := (select created_at from gateway.bounced_addresses where address_hash = gateway.address_hash(new.email));
    return new;
end $$;
comment on function gateway.start_address_anew is 'An account with another address can be written to, unless mail to that one has come back before, to whomever it went.';
create trigger start_address_anew before update of email on gateway.accounts
    for each row when (new.email is distinct from old.email) execute function gateway.start_address_anew();
create trigger start_with_address before insert on gateway.accounts
    for each row when (new.email is not null) execute function gateway.start_address_anew();

create function gateway.mail_of_address() returns trigger
language plpgsql
as $$
declare
    v_now timestamptz := gateway.clock();
begin
    if new.status = 'deleted' then
        delete from gateway.outbox where account_id = new.id;
    elsif old.email is null then
        perform gateway.put_mail(new.id, 'welcome', '{}', 'once', v_now);
    elsif old.email_bounced_at is null then
        -- To the address of before: whoever has taken the account over reads what goes to the new one.
        perform gateway.put_mail_to(new.id, old.email, 'security_notice', jsonb_build_object('event', 'email_changed', 'at', v_now),
                                    'email_changed:' || md5(lower(old.email)) || ':' || (v_now at time zone 'UTC')::date, v_now);
    end if;
    return null;
end $$;
create trigger mail_of_address after update of email, status on gateway.accounts
    -- The same address in other letters is no other one.
    for each row when (lower(new.email) is distinct from lower(old.email) or new.status = 'deleted' and old.status <> 'deleted')
    execute function gateway.mail_of_address();

create function gateway.warn_of_low_balance() returns trigger
language plpgsql
as $$
declare
    v_threshold bigint;
    v_left      bigint;
    v_now       timestamptz;
    v_day       text;
begin
    select low_balance_threshold_nanos into v_threshold from gateway.accounts where id = new.account_id;
    if v_threshold is null then
        return null;
    end if;
    v_now := gateway.clock();
    v_day := (v_now at time zone 'UTC')::date::text;
    if exists (select from gateway.outbox where account_id = new.account_id and template = 'low_balance' and dedupe_key = v_day) then
        return null;
    end if;
    -- What requests under way hold comes back for the most part: it is an estimate from above, and would warn too early.
    v_left := gateway.available(new.account_id, v_now)
            + (select coalesce(sum(amount_nanos), 0)::bigint from gateway.holds where account_id = new.account_id and state = 'held');
    if v_left < v_threshold then
        perform gateway.put_mail(new.account_id, 'low_balance',
                                 jsonb_build_object('available_nanos', v_left, 'threshold_nanos', v_threshold), v_day, v_now);
    end if;
    return null;
end $$;
comment on function gateway.warn_of_low_balance is
    'Under the wallet''s lock, whenever money has left it: once a day (UTC) for an owner who has said below which balance he wants to be told.';
create trigger warn_of_low_balance after update of posted_nanos on gateway.wallets
    for each row when (new.posted_nanos < old.posted_nanos) execute function gateway.warn_of_low_balance();

create function gateway.report_of_month(p_account_id bigint, p_month date) returns jsonb
language sql stable
as $$
    with sums as (
        select part ->> 'part' as part, part as numbers, row_number() over (partition by part ->> 'part') as rank
          from jsonb_array_elements(gateway.usage_report(p_account_id, p_month, (p_month + interval '1 month')::date)) as part
    )
    select jsonb_build_object(
               'month', to_char(p_month, 'YYYY-MM'),
               'total', (select numbers from sums where part = 'total'),
               'models', coalesce((select jsonb_agg(numbers order by rank) from sums where part = 'model' and rank <= 5), '[]'),
               'keys', coalesce((select jsonb_agg(numbers order by rank) from sums where part = 'key' and rank <= 5), '[]'))
$$;

create function gateway.has_used(p_account_id bigint, p_month date) returns boolean
language sql stable
as $$
    select exists (select from gateway.usage_days where account_id = p_account_id and day >= p_month and day < p_month + interval '1 month')
        or exists (select from gateway.usage_lines
                    where account_id = p_account_id and created_at >= gateway.day_start(p_month)
                      and created_at < gateway.day_start((p_month + interval '1 month')::date))
$$;

create function api.put_usage_reports(p_after bigint default 0, p_limit int default 100) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set jit = off
as $$
declare
    v_now     timestamptz := gateway.clock();
    v_month   date := (date_trunc('month', v_now at time zone 'UTC') - interval '1 month')::date;
    v_key     text := to_char(v_month, 'YYYY-MM');
    v_account gateway.accounts;
    v_report  jsonb;
    v_made    int := 0;
    v_put     int := 0;
    v_last    bigint;
begin
    -- Once in the month is enough; later in it, last month is nobody's news.
    if extract(day from v_now at time zone 'UTC') > 7 then
        return '{"count": 0, "next": null}';
    end if;
    -- To look whether somebody is to have one costs little, and to make it much: each has its own limit.
    select max(id) into v_last from (select id from gateway.accounts where id > p_after and email is not null order by id limit p_limit * 20) as seen;
    for v_account in
        select account.* from gateway.accounts as account
         where account.id > p_after and account.id <= v_last and account.email is not null and gateway.wants_mail(account, 'usage_report')
           and not exists (select from gateway.outbox where account_id = account.id and template = 'usage_report' and dedupe_key = v_key)
           and gateway.has_used(account.id, v_month)
         order by account.id limit p_limit
    loop
        v_report := gateway.report_of_month(v_account.id, v_month);
        if (v_report -> 'total' ->> 'requests')::bigint > 0 then
            perform gateway.put_mail(v_account.id, 'usage_report', v_report, v_key, v_now);
            v_put := v_put + 1;
        end if;
        v_made := v_made + 1;
        if v_made = p_limit then
            v_last := v_account.id;
        end if;
    end loop;
    return jsonb_build_object('count', v_put, 'next', v_last);
end $$;
comment on function api.put_usage_reports is
    'Puts last month''s report of some accounts into the outbox, those after an id that have none yet. next: where the next call goes on, null where nobody is left; a run that ended before may begin anew, and passes those quickly who have theirs.';
