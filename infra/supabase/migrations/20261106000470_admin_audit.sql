-- The audit log and the books, as admins read them.

create index audit_log_by_event on gateway.audit_log (event, id);

create type gateway.audit_filter as (account_id bigint, actor text, event text, from_at timestamptz, to_at timestamptz);
comment on type gateway.audit_filter is 'Which lines are meant: null is any.';

create function gateway.audit_view(p_line gateway.audit_log) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
               'id', p_line.id, 'account_id', p_line.account_id, 'actor', p_line.actor, 'key_id', p_line.key_id,
               'actor_account_id', (select account_id from gateway.api_keys where id = p_line.key_id),
               'event', p_line.event, 'subject', p_line.subject, 'details', p_line.details, 'address', host(p_line.address),
               'request_id', p_line.request_id, 'created_at', p_line.created_at)
$$;

create function gateway.found_audit(p_filter gateway.audit_filter, p_limit int, p_before bigint) returns setof gateway.audit_log
language sql stable
as $$
    select line.*
      from gateway.audit_log as line
     where line.id < coalesce(p_before, 9223372036854775807)
       and (p_filter.account_id is null or line.account_id = p_filter.account_id)
       and (p_filter.event is null or line.event = p_filter.event)
       and (p_filter.actor is null or line.actor = p_filter.actor)
       and (p_filter.from_at is null or line.created_at >= p_filter.from_at)
       and (p_filter.to_at is null or line.created_at < p_filter.to_at)
     order by line.id desc limit p_limit
$$;

create function api.list_audit(p_admin jsonb, p_filter jsonb, p_limit int, p_before bigint default null) returns jsonb
language plpgsql security definer set search_path = '' set plan_cache_mode = force_custom_plan
as $$
declare
    v       record;
    v_lines jsonb;
begin
    select * into v from gateway.enter_admin(p_admin);
    if v.refusal is not null then
        return v.refusal;
    end if;
    select coalesce(jsonb_agg(gateway.audit_view(line) order by line.id desc), '[]') into v_lines
      from gateway.found_audit(jsonb_populate_record(null::gateway.audit_filter, p_filter), p_limit, p_before) as line;
    return gateway.admin_answer(v.admin, 'audit', jsonb_build_object('lines', v_lines));
end $$;
comment on function api.list_audit is 'A page of the audit log, newest first, those before an id; p_filter is a gateway.audit_filter.';

create function api.check_ledger(p_admin jsonb, p_account_id bigint default null, p_limit int default 100) returns jsonb
language plpgsql security definer set search_path = '' set statement_timeout = '25s' set jit = off
as $$
declare
    v        record;
    v_broken jsonb;
    v_count  bigint;
begin
    select * into v from gateway.enter_admin(p_admin);
    if v.refusal is not null then
        return v.refusal;
    elsif p_account_id is not null and not exists (select from gateway.accounts where id = p_account_id) then
        return gateway.refusal(404, 'user_not_found') || gateway.policy_of_admin(v.admin);
    end if;
    select coalesce(jsonb_agg(jsonb_build_object('rule', rule, 'subject', subject) order by number) filter (where number <= p_limit), '[]'), count(*)
      into v_broken, v_count
      from (select rule, subject, row_number() over (order by rule, subject) as number from gateway.broken_rules(p_account_id)) as broken;
    return gateway.admin_answer(v.admin, 'ledger_check', jsonb_build_object('broken', v_broken, 'broken_count', v_count, 'checked_at', gateway.clock()));
end $$;
comment on function api.check_ledger is 'Re-adds the books of one account or of all, and tells what does not balance: the first of it, and how much there is.';
