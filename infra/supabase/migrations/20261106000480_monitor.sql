-- What is going on: traffic, errors, times, money and what waits, over a window that is asked for.

create function gateway.told_percentiles(p_percentiles double precision[], p_count bigint) returns jsonb
language sql immutable
as $$
    select jsonb_build_object('count', p_count, 'p50', round(p_percentiles[1]), 'p90', round(p_percentiles[2]),
                              'p95', round(p_percentiles[3]), 'p99', round(p_percentiles[4]), 'max', round(p_percentiles[5]))
$$;

create function gateway.tokens_of(p_quantities gateway.quantities) returns bigint
language sql immutable
as $$
    select coalesce(p_quantities.input_tokens, 0)::bigint + coalesce(p_quantities.cached_input_tokens, 0)
         + coalesce(p_quantities.cache_write_tokens, 0) + coalesce(p_quantities.output_tokens, 0)
$$;

create function gateway.traffic(p_from timestamptz, p_to timestamptz) returns jsonb
language sql stable
as $$
    with line as not materialized (
        select generation_id, key_id, account_id, model_id, provider, outcome, is_stream, is_late, waived_reason, quantities, reasoning_tokens,
               cost_nanos, charged_nanos, shortfall_nanos, provider_cost_nanos, cost_excess_nanos, first_byte_ms, duration_ms
          from gateway.usage_lines where created_at >= p_from and created_at < p_to
    ),
    summed as (
        select grouping(model_id) = 0 as is_by_model, model_id,
               count(*) as requests, count(*) filter (where outcome = 'completed') as completed,
               count(*) filter (where outcome = 'failed') as failed, count(*) filter (where outcome = 'interrupted') as interrupted,
               count(*) filter (where outcome = 'abandoned') as abandoned, count(*) filter (where is_stream) as streams,
               count(*) filter (where is_late) as late,
               count(distinct account_id) as accounts, count(distinct key_id) as keys,
               coalesce(sum((quantities).input_tokens), 0) as input_tokens, coalesce(sum((quantities).cached_input_tokens), 0) as cached_input_tokens,
               coalesce(sum((quantities).cache_write_tokens), 0) as cache_write_tokens, coalesce(sum((quantities).output_tokens), 0) as output_tokens,
               coalesce(sum(reasoning_tokens), 0) as reasoning_tokens, coalesce(sum((quantities).images), 0) as images,
               coalesce(sum(cost_nanos), 0)::bigint as cost_nanos, coalesce(sum(charged_nanos), 0)::bigint as charged_nanos,
               coalesce(sum(shortfall_nanos), 0)::bigint as shortfall_nanos, coalesce(sum(provider_cost_nanos), 0)::bigint as provider_cost_nanos,
               coalesce(sum(cost_excess_nanos), 0)::bigint as cost_excess_nanos,
               coalesce(sum(provider_cost_nanos) filter (where waived_reason is not null), 0)::bigint as waived_cost_nanos,
               count(*) filter (where waived_reason is not null) as waived,
               -- Of those that were answered as asked: how soon a failure comes tells of no answer's speed.
               gateway.told_percentiles(percentile_cont('{0.5,0.9,0.95,0.99,1}'::double precision[]) within group (order by duration_ms)
                                            filter (where outcome = 'completed'),
                                        count(duration_ms) filter (where outcome = 'completed')) as duration_ms,
               gateway.told_percentiles(percentile_cont('{0.5,0.9,0.95,0.99,1}'::double precision[]) within group (order by first_byte_ms)
                                            filter (where outcome = 'completed'),
                                        count(first_byte_ms) filter (where outcome = 'completed')) as first_byte_ms
          from line group by grouping sets ((), (model_id))
    ),
    -- A request is paid for at the moment at which it is settled.
    spent as (
        select line.model_id, lot.kind, sum(transfer.amount_nanos) as amount_nanos
          from gateway.transfers as transfer
          join gateway.lots as lot on lot.id = transfer.lot_id
          join line on line.generation_id = transfer.generation_id
         where transfer.created_at >= p_from and transfer.created_at < p_to and transfer.kind = 'usage'
         group by line.model_id, lot.kind
    ),
    charged as (
        select is_by_model, model_id, jsonb_object_agg(kind, amount_nanos) as charged_by_credit
          from (select grouping(model_id) = 0 as is_by_model, model_id, kind, sum(amount_nanos)::bigint as amount_nanos
                  from spent group by grouping sets ((kind), (model_id, kind))) as each
         group by is_by_model, model_id
    ),
    ranked as (
        select summed.*, coalesce(charged.charged_by_credit, '{}') as charged_by_credit,
               row_number() over (partition by summed.is_by_model order by requests desc, summed.model_id) as place
          from summed
          left join charged on charged.is_by_model = summed.is_by_model and charged.model_id is not distinct from summed.model_id
    )
    select jsonb_build_object(
        'total', (select to_jsonb(ranked) - '{is_by_model,model_id,place}'::text[] from ranked where not is_by_model),
        'models', (select coalesce(jsonb_agg(to_jsonb(ranked) - '{is_by_model,place}'::text[] order by place), '[]')
                     from ranked where is_by_model and place <= 20))
$$;
comment on function gateway.traffic is 'The requests that were settled in a window, in all and by the twenty models that were asked most; times are milliseconds. charged_by_credit: what was charged, by the kind of the credit that it was taken from.';

create function gateway.provider_traffic(p_from timestamptz, p_to timestamptz) returns jsonb
language sql stable
as $$
    with attempt as (
        select each.attempt ->> 'provider' as provider, (each.attempt ->> 'is_success')::boolean as is_success,
               (each.attempt ->> 'is_request_at_fault')::boolean as is_request_at_fault,
               coalesce(each.attempt ->> 'status', each.attempt ->> 'reason') as failure, (each.attempt ->> 'first_byte_ms')::int as first_byte_ms
          from gateway.usage_lines as line, jsonb_array_elements(line.attempts) as each (attempt)
         where line.created_at >= p_from and line.created_at < p_to
    ),
    failure as (
        select provider, jsonb_object_agg(failure, count) as failures
          from (select provider, failure, count(*) as count from attempt
                 where not is_success and failure is not null group by provider, failure order by count(*) desc) as each
         group by provider
    ),
    counted as (
        select provider, count(*) as attempts, count(*) filter (where is_success) as successes,
               count(*) filter (where not is_success and not is_request_at_fault) as failed,
               count(*) filter (where not is_success and is_request_at_fault) as refused,
               gateway.told_percentiles(percentile_cont('{0.5,0.9,0.95,0.99,1}'::double precision[]) within group (order by first_byte_ms)
                                            filter (where is_success), count(*) filter (where is_success)) as first_byte_ms
          from attempt where provider is not null group by provider
    )
    select coalesce(jsonb_agg(to_jsonb(counted) || jsonb_build_object('failures', coalesce(failure.failures, '{}')) order by counted.provider), '[]')
      from counted left join failure using (provider)
$$;
comment on function gateway.provider_traffic is
    'What providers were asked in a window and how they answered. failures: how many by status, or by reason where no status came; refused: for what the client asked, which is not the provider''s failing.';

create function gateway.standing_now(p_now timestamptz) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'holds', (select jsonb_build_object('open', count(*), 'amount_nanos', coalesce(sum(amount_nanos), 0)::bigint,
                                            'overdue', count(*) filter (where expires_at <= p_now), 'oldest_at', min(created_at))
                    from gateway.holds where state = 'held'),
        'dead_letters', (select coalesce(jsonb_object_agg(kind, count), '{}')
                           from (select kind, count(*) as count from gateway.dead_letters where resolved_at is null group by kind) as letter),
        'mails', (select jsonb_build_object('waiting', count(*), 'oldest_due_at', min(due_at)) from gateway.outbox where state = 'waiting'),
        'stripe_events', (select jsonb_build_object('unhandled', count(*), 'oldest_at', min(received_at))
                            from gateway.stripe_events where handled_at is null),
        'owed_nanos', (select coalesce(sum(owed_nanos), 0)::bigint from gateway.wallets where owed_nanos > 0),
        'pending_prices', (select count(*) from gateway.provider_offers where pending_price_id is not null)
                        + (select count(*) from gateway.image_prices where pending_price_id is not null),
        'switches', gateway.switches_view(p_now))
$$;
comment on function gateway.standing_now is 'What stands open at this moment, whatever the window.';
create index wallets_that_owe on gateway.wallets (account_id) where owed_nanos > 0;
create index dead_letters_open on gateway.dead_letters (kind) where resolved_at is null;

create function gateway.people(p_from timestamptz, p_to timestamptz) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'new_accounts', (select count(*) from gateway.accounts where created_at >= p_from and created_at < p_to),
        'trials_started', (select count(*) from gateway.trials where started_at >= p_from and started_at < p_to),
        'purchases', (select count(*) from gateway.payments where granted_at >= p_from and granted_at < p_to),
        'purchased_nanos', (select coalesce(sum(money_nanos), 0)::bigint from gateway.payments where granted_at >= p_from and granted_at < p_to))
$$;
create index accounts_by_age on gateway.accounts (created_at);
create index trials_by_start on gateway.trials (started_at);
create index payments_by_grant on gateway.payments (granted_at) where granted_at is not null;

create function gateway.max_monitored() returns int
language sql immutable
as $$ select 1000000 $$;
comment on function gateway.max_monitored is 'How many requests are added up while somebody waits.';

create function gateway.window_refusal(p_from timestamptz, p_to timestamptz) returns jsonb
language sql stable
as $$
    -- Looked for by the index, and no further than it matters.
    select gateway.refusal(400, 'window_too_large', jsonb_build_object('limit', gateway.max_monitored()))
     where exists (select from gateway.usage_lines where created_at >= p_from and created_at < p_to
                    order by created_at offset gateway.max_monitored() limit 1)
$$;

create function api.read_monitor(p_admin jsonb, p_from timestamptz, p_to timestamptz) returns jsonb
language plpgsql security definer
    set search_path = '' set statement_timeout = '25s' set jit = off set plan_cache_mode = force_custom_plan set work_mem = '64MB'
as $$
declare
    v      record;
    v_now  timestamptz := gateway.clock();
    v_from timestamptz := coalesce(p_from, v_now - interval '1 hour');
    v_to   timestamptz := coalesce(p_to, v_now);
    v_no   jsonb;
begin
    select * into v from gateway.enter_admin(p_admin);
    v_no := coalesce(v.refusal, gateway.window_refusal(v_from, v_to) || gateway.policy_of_admin(v.admin));
    if v_no is not null then
        return v_no;
    end if;
    return gateway.admin_answer(v.admin, 'monitor', jsonb_build_object(
        'from', v_from, 'to', v_to, 'traffic', gateway.traffic(v_from, v_to), 'providers', gateway.provider_traffic(v_from, v_to),
        'people', gateway.people(v_from, v_to), 'now', gateway.standing_now(v_now)));
end $$;
comment on function api.read_monitor is
    'The requests that were settled from one moment until before another, the last hour unless told, and what stands open now.';
