-- What an operator can stop at once: trials, all inference, and new losses of the house beyond a bound.

create table gateway.switches (
    id                     smallint primary key default 1 check (id = 1),
    are_trials_stopped     boolean not null default false,
    is_inference_stopped   boolean not null default false,
    daily_loss_bound_nanos bigint check (daily_loss_bound_nanos > 0),
    alarmed_on             date,
    changed_at             timestamptz,
    created_at             timestamptz not null default now()
);
comment on table gateway.switches is 'One row. Read by every admission and every trial, changed by admins alone.';
comment on column gateway.switches.daily_loss_bound_nanos is
    'What the house may lose in a day (UTC), with the trial credit that is spent, until trials pause: none is begun, and nobody who is on one is admitted. Null is no bound.';
comment on column gateway.switches.alarmed_on is 'The last day on which somebody was told that the bound was passed.';
alter table gateway.switches enable row level security;
insert into gateway.switches default values;

create table gateway.house_losses (
    day         date not null,
    part        smallint not null check (part between 0 and 15),
    loss_nanos  bigint not null default 0 check (loss_nanos >= 0),
    trial_nanos bigint not null default 0 check (trial_nanos >= 0),
    created_at  timestamptz not null default now(),
    primary key (day, part)
) with (fillfactor = 70);
comment on table gateway.house_losses is
    'What the house has lost on a day (UTC), in parts by account, so that settlements with a loss do not all wait for one row. Counted from usage lines, which stay the truth. trial_nanos: what was spent of trials, which lots stay the truth of.';
alter table gateway.house_losses enable row level security;

create function gateway.loss_of(p_line gateway.usage_lines) returns bigint
language sql immutable
as $$
    select p_line.shortfall_nanos + p_line.cost_excess_nanos
         + case when p_line.waived_reason is null then 0 else p_line.provider_cost_nanos end
$$;
comment on function gateway.loss_of is
    'What a request cost the house: what its customer could not pay, what its provider took beyond the price, and what the house paid for by itself.';

create function gateway.count_loss() returns trigger
language plpgsql
as $$
begin
    insert into gateway.house_losses as lost (day, part, loss_nanos, created_at)
    values ((new.created_at at time zone 'UTC')::date, new.account_id % 16, gateway.loss_of(new), new.created_at)
    on conflict (day, part) do update set loss_nanos = lost.loss_nanos + excluded.loss_nanos;
    return null;
end $$;
comment on function gateway.count_loss is
    'Adds a settled request''s loss to its day. Its lock is the last that a settlement takes of what accounts share.';
-- The rule of gateway.loss_of, spelt out so that a request without a loss calls nothing.
create trigger count_loss after insert on gateway.usage_lines
    for each row when (new.shortfall_nanos > 0 or new.cost_excess_nanos > 0 or new.waived_reason is not null and new.provider_cost_nanos > 0)
    execute function gateway.count_loss();

create function gateway.count_trial_spend() returns trigger
language plpgsql
as $$
declare
    v_now timestamptz := gateway.clock();
begin
    insert into gateway.house_losses as lost (day, part, trial_nanos, created_at)
    values ((v_now at time zone 'UTC')::date, new.account_id % 16, new.spent_nanos - old.spent_nanos, v_now)
    on conflict (day, part) do update set trial_nanos = lost.trial_nanos + excluded.trial_nanos;
    return null;
end $$;
comment on function gateway.count_trial_spend is
    'Adds what a request spent of a trial to its day: nobody has paid for that, and whoever makes accounts for it is to meet the bound. Its lock is that of gateway.count_loss.';
-- Who spends other credit calls nothing.
create trigger count_trial_spend after update of spent_nanos on gateway.lots
    for each row when (new.kind = 'trial' and new.spent_nanos > old.spent_nanos) execute function gateway.count_trial_spend();

create function gateway.loss_on(p_day date, out loss_nanos bigint, out trial_nanos bigint)
language sql stable
as $$
    select coalesce(sum(lost.loss_nanos), 0)::bigint, coalesce(sum(lost.trial_nanos), 0)::bigint
      from gateway.house_losses as lost where lost.day = p_day
$$;
comment on function gateway.loss_on is 'What the house has lost on a day, and what was spent of trials beside it.';

create function gateway.is_loss_bound_passed(p_switches gateway.switches, p_now timestamptz) returns boolean
language sql stable
as $$
    select p_switches.daily_loss_bound_nanos is not null
       and (select loss_nanos + trial_nanos from gateway.loss_on((p_now at time zone 'UTC')::date)) >= p_switches.daily_loss_bound_nanos
$$;

create function gateway.trial_stop(p_now timestamptz) returns jsonb
language sql stable
as $$
    select case when switches.are_trials_stopped or gateway.is_loss_bound_passed(switches, p_now)
                then gateway.refusal(503, 'trials_stopped') end
      from gateway.switches as switches where switches.id = 1
$$;
comment on function gateway.trial_stop is 'Are trials given now? Null is yes.';

create function gateway.inference_stop(p_account_id bigint, p_now timestamptz) returns jsonb
language plpgsql stable
as $$
declare
    v_switches gateway.switches;
    v_account  gateway.accounts;
begin
    select * into strict v_switches from gateway.switches where id = 1;
    if v_switches.is_inference_stopped then
        return gateway.refusal(503, 'inference_stopped');
    end if;
    if v_switches.daily_loss_bound_nanos is null or not gateway.is_loss_bound_passed(v_switches, p_now) then
        return null;
    end if;
    select * into strict v_account from gateway.accounts where id = p_account_id;
    return case when gateway.standing(v_account, p_now) = 'trial' then gateway.refusal(503, 'trials_paused') end;
end $$;
comment on function gateway.inference_stop is
    'Is this account answered by models now? Null is yes. A bound on losses pauses those who are on a trial; who has paid is served whatever others cost.';

-- Admission asks this one after what a key may and before what a plan allows; retries of what was paid for come before it.
alter function gateway.quota_refusal(bigint, timestamptz) rename to plan_quota_refusal;
create function gateway.quota_refusal(p_account_id bigint, p_now timestamptz) returns jsonb
language sql stable
as $$ select coalesce(gateway.inference_stop(p_account_id, p_now), gateway.plan_quota_refusal(p_account_id, p_now)) $$;
comment on function gateway.quota_refusal is 'May this account have one more answer now, by the switches and by its plan''s quotas? Null is yes.';

create or replace function gateway.trial_refusal(p_account gateway.accounts, p_person gateway.known_person) returns jsonb
language plpgsql
as $$
declare
    v_refusal jsonb := coalesce(gateway.person_refusal(p_account), gateway.trial_stop(gateway.clock()));
begin
    if v_refusal is not null then
        return v_refusal;
    end if;
    if exists (select from gateway.trials where account_id = p_account.id) or not gateway.give_once('trial', p_person) then
        return gateway.refusal(409, 'trial_already_used');
    end if;
    return null;
end $$;

create function gateway.switches_view(p_now timestamptz) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
               'are_trials_stopped', switches.are_trials_stopped, 'is_inference_stopped', switches.is_inference_stopped,
               'daily_loss_bound_nanos', switches.daily_loss_bound_nanos, 'changed_at', switches.changed_at,
               'loss_today_nanos', today.loss_nanos, 'trial_spend_today_nanos', today.trial_nanos,
               'is_loss_bound_passed', gateway.is_loss_bound_passed(switches, p_now))
      from gateway.switches as switches, gateway.loss_on((p_now at time zone 'UTC')::date) as today where switches.id = 1
$$;

create function api.read_switches(p_admin jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
    v record;
begin
    select * into v from gateway.enter_admin(p_admin);
    return coalesce(v.refusal, gateway.admin_answer(v.admin, 'switches', jsonb_build_object('switches', gateway.switches_view(gateway.clock()))));
end $$;
comment on function api.read_switches is 'What is stopped, and what the house has lost today, and what was spent of trials.';

create function api.set_switches(p_admin jsonb, p_changes jsonb, p_receipt jsonb default null) returns jsonb
language plpgsql security definer set search_path = '' set lock_timeout = '4s'
as $$
declare
    v        record;
    v_answer jsonb;
    v_before gateway.switches;
    v_after  gateway.switches;
begin
    if exists (select from jsonb_object_keys(p_changes) as name
                where name not in ('are_trials_stopped', 'is_inference_stopped', 'daily_loss_bound_nanos')) then
        raise exception 'no switch: %', p_changes using errcode = 'invalid_parameter_value';
    end if;
    select * into v from gateway.enter_admin_to_change(p_admin);
    v_answer := coalesce(v.refusal, gateway.admin_replay(v.admin, p_receipt));
    if v_answer is not null then
        return v_answer;
    end if;
    select * into strict v_before from gateway.switches where id = 1;
    v_after := jsonb_populate_record(v_before, p_changes);
    if v_after is distinct from v_before then
        update gateway.switches
           set are_trials_stopped = v_after.are_trials_stopped, is_inference_stopped = v_after.is_inference_stopped,
               daily_loss_bound_nanos = v_after.daily_loss_bound_nanos, changed_at = v.at,
               -- Another bound is another alarm.
               alarmed_on = case when v_after.daily_loss_bound_nanos is distinct from v_before.daily_loss_bound_nanos then null else alarmed_on end
         where id = 1;
        perform gateway.write_admin_event(v.admin, null, 'switches_changed', null, p_changes);
    end if;
    return gateway.admin_answer(v.admin, 'switches', jsonb_build_object('switches', gateway.switches_view(v.at)), p_receipt);
end $$;
comment on function api.set_switches is 'Sets what is named of are_trials_stopped, is_inference_stopped and daily_loss_bound_nanos (null: none). Holds from the next admission on; what is under way ends as it began.';

create function api.take_loss_alarm() returns jsonb
language plpgsql security definer set search_path = '' set lock_timeout = '4s'
as $$
declare
    v_now      timestamptz := gateway.clock();
    v_today    date := (v_now at time zone 'UTC')::date;
    v_switches gateway.switches;
    v_is_due   boolean;
    v_lost     record;
begin
    select * into strict v_switches from gateway.switches where id = 1;
    v_is_due := v_switches.alarmed_on is distinct from v_today and gateway.is_loss_bound_passed(v_switches, v_now);
    if v_is_due then
        update gateway.switches set alarmed_on = v_today where id = 1 and alarmed_on is distinct from v_today;
        v_is_due := found;
    end if;
    select * into v_lost from gateway.loss_on(v_today);
    return jsonb_build_object('is_due', v_is_due, 'loss_nanos', v_lost.loss_nanos, 'trial_spend_nanos', v_lost.trial_nanos,
                              'bound_nanos', v_switches.daily_loss_bound_nanos);
end $$;
comment on function api.take_loss_alarm is 'Whether somebody is to be told that the house lost more today than it may: once a day, and once more after another bound was set.';
