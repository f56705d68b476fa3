-- E-mails to be sent: written down in the transaction that causes them, so that none is lost and none is sent of what was undone.

alter table gateway.accounts add column email_bounced_at timestamptz;
comment on column gateway.accounts.email_bounced_at is
    'Since when mail to the present address comes back or is reported as unwanted; another address starts anew.';

create function gateway.mail_category(p_template text) returns text
language sql immutable
as $$
    select case
        when p_template in ('welcome', 'security_notice', 'test') then 'account'
        when p_template in ('trial_started', 'trial_ending', 'trial_ended') then 'trial'
        when p_template in ('payment_received', 'payment_refunded', 'payment_failed', 'plan_changed') then 'payments'
        when p_template in ('key_created', 'key_rotated') then 'keys'
        when p_template in ('low_balance', 'usage_report') then p_template
    end
$$;
comment on function gateway.mail_category is
    'Which of the owner''s preferences an e-mail falls under; account cannot be switched off. Null where there is no such e-mail.';

create table gateway.outbox (
    id             uuid primary key default gen_random_uuid(),
    account_id     bigint not null,
    template       text not null check (gateway.mail_category(template) is not null),
    data           jsonb not null default '{}' check (jsonb_typeof(data) = 'object'),
    dedupe_key     text not null check (length(dedupe_key) between 1 and 300),
    address        text not null check (length(address) between 3 and 254),
    state          text not null default 'waiting' check (state in ('waiting', 'sent', 'dropped', 'dead')),
    due_at         timestamptz not null,
    tries          int not null default 0 check (tries >= 0),
    refusals       int not null default 0,
    first_tried_at timestamptz,
    last_error     text check (length(last_error) <= 500),
    resend_id      text,
    ended_at       timestamptz,
    created_at     timestamptz not null default now(),
    unique (account_id, template, dedupe_key),
    check ((state = 'waiting') = (ended_at is null)),
    check ((tries = 0) = (first_tried_at is null)),
    check (refusals between 0 and tries)
);
-- No foreign key: checking it locks the account's row, and a mail may be written under the wallet's lock, which comes after that.
comment on table gateway.outbox is
    'One row is one e-mail, sent once: waiting, then sent; dropped where its owner does not want it any more; dead where it was given up.';
comment on column gateway.outbox.id is
    'Its Idempotency-Key at Resend, so never a number that another database of the same Resend account would count up to as well.';
comment on column gateway.outbox.data is 'Facts alone, such as amounts in nano-dollars and times as ISO text: how they are said is the renderer''s.';
comment on column gateway.outbox.refusals is
    'How many of the tries Resend itself has answered with no. Where all were, the mail has certainly not been sent; else it may have been.';
comment on column gateway.outbox.address is
    'Where to, as it was when the cause happened: the same at every try, since one idempotency key stands for one and the same request.';
create index outbox_due on gateway.outbox (due_at) where state = 'waiting';
create index outbox_by_age on gateway.outbox (created_at);
alter table gateway.outbox enable row level security;

create function gateway.wants_mail(p_account gateway.accounts, p_category text) returns boolean
language sql stable
as $$
    select p_account.status <> 'deleted' and p_account.email is not null and p_account.email_bounced_at is null
       and (p_category = 'account' or coalesce((p_account.email_preferences ->> p_category)::boolean, p_category <> 'news'))
$$;
comment on function gateway.wants_mail is 'May the owner be written to, about this? What he never said is as the application has it.';

create function gateway.put_mail_to(
    p_account_id bigint, p_address text, p_template text, p_data jsonb, p_dedupe_key text, p_now timestamptz
) returns void
language sql
as $$
    insert into gateway.outbox (account_id, template, data, dedupe_key, address, due_at, created_at)
    values (p_account_id, p_template, coalesce(p_data, '{}'), p_dedupe_key, p_address, p_now, p_now)
    on conflict (account_id, template, dedupe_key) do nothing
$$;

create function gateway.put_mail(p_account_id bigint, p_template text, p_data jsonb, p_dedupe_key text, p_now timestamptz) returns void
language plpgsql
as $$
declare
    v_account gateway.accounts;
begin
    select * into v_account from gateway.accounts where id = p_account_id;
    if gateway.wants_mail(v_account, gateway.mail_category(p_template)) is not false then
        perform gateway.put_mail_to(p_account_id, v_account.email, p_template, p_data, p_dedupe_key, p_now);
    end if;
end $$;
comment on function gateway.put_mail is
    'Writes an e-mail to an account''s owner down, in the transaction of what it tells; once for each dedupe key of account and template. Does nothing where there is no address, mail to it comes back, or the owner does not want this kind. What each template''s data are: shared/notifications/types.py.';

alter table gateway.dead_letters
    drop constraint dead_letters_kind_check,
    add constraint dead_letters_kind_check check (kind in ('late_settlement', 'mail', 'payment', 'subscription', 'stripe_event'));
comment on table gateway.dead_letters is
    'A record that no try could bring to its end. subject: what it is about, such as a generation, a mail or a payment. Never holds a prompt or an answer.';
