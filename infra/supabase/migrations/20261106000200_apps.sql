-- Which app a request came from, as its headers say; and whether a key lets its apps stand in the public ranking.

comment on column gateway.usage_lines.request is 'What was asked, without a word of it; app: the url and the title of the app that the request said it came from.';

alter table gateway.api_keys
    add column is_app_public boolean not null default false,
    add column app_public_since timestamptz check (app_public_since is not null or not is_app_public);
comment on column gateway.api_keys.is_app_public is 'Whether the apps that this key''s requests come from may stand in the public ranking, with what they used.';
comment on column gateway.api_keys.app_public_since is 'From when they may: what was asked before stays unnamed.';

create function gateway.note_public_app() returns trigger
language plpgsql
as $$
begin
    new.app_public_since := case when new.is_app_public then gateway.clock() end;
    return new;
end $$;
create trigger note_new_public_app before insert on gateway.api_keys
    for each row when (new.is_app_public) execute function gateway.note_public_app();
create trigger note_public_app before update of is_app_public on gateway.api_keys
    for each row when (new.is_app_public <> old.is_app_public) execute function gateway.note_public_app();

create or replace function gateway.key_view(p_key gateway.api_keys) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'id', p_key.id, 'kind', p_key.kind, 'name', p_key.name, 'environment', p_key.environment, 'masked', p_key.masked,
        'is_active', p_key.is_active, 'scopes', p_key.scopes, 'created_at', p_key.created_at,
        'expires_at', p_key.expires_at, 'last_used_at', p_key.last_used_at,
        'max_requests', p_key.max_requests, 'requests_used', p_key.requests_used,
        'spend_limit_nanos', p_key.spend_limit_nanos, 'spend_limit_period', p_key.spend_limit_period,
        'spent_nanos', case when p_key.spent_since >= period.starts_at then p_key.spent_nanos else 0 end,
        'held_nanos', case when p_key.spend_limit_nanos is null then 0 else gateway.live_held_by_key(p_key.account_id, p_key.id) end,
        'spend_resets_at', case when p_key.spend_limit_period <> 'total' then
            ((period.starts_at at time zone 'UTC') + ('1 ' || p_key.spend_limit_period)::interval) at time zone 'UTC' end,
        'ip_allowlist', (select jsonb_agg(case when masklen(network) = case family(network) when 4 then 32 else 128 end
                                               then host(network) else text(network) end order by position)
                           from unnest(p_key.ip_allowlist) with ordinality as allowed (network, position)),
        'allowed_domains', p_key.allowed_domains, 'model_globs', p_key.model_globs,
        'requests_per_minute', p_key.requests_per_minute, 'tokens_per_minute', p_key.tokens_per_minute,
        'concurrency', p_key.concurrency,
        'rotate_every_days', p_key.rotate_every_days, 'rotates_at', p_key.rotates_at,
        'is_app_public', p_key.is_app_public,
        'has_new_secret', p_key.pending_secret is not null,
        'old_secrets_until', (select max(secret.expires_at) from gateway.key_secrets as secret
                               where secret.key_id = p_key.id and secret.expires_at > now.at))
      from (select gateway.clock() as at) as now,
           lateral (select gateway.period_start(p_key.spend_limit_period, now.at) as starts_at) as period
$$;

create or replace function api.create_key(p_caller jsonb, p_key jsonb, p_secret jsonb, p_receipt jsonb) returns jsonb
language plpgsql security definer set search_path = '' set lock_timeout = '4s'
as $$
declare
    v           record;
    v_asked     gateway.api_keys := jsonb_populate_record(null::gateway.api_keys, p_key);
    v_key       gateway.api_keys;
    v_now       timestamptz;
    v_answer    jsonb;
    v_secret_id bigint;
begin
    select * into v from gateway.enter_to_change(p_caller, null);
    if v.refusal is not null then
        return v.refusal;
    end if;
    v_answer := coalesce(gateway.escalation(v.key, p_caller, v_asked.environment, v_asked.scopes),
                         gateway.replayed_key(v.key, p_caller, p_receipt));
    if v_answer is not null then
        return v_answer || gateway.policy_of(v.key);
    end if;
    if (select count(*) from gateway.api_keys as live
         where live.account_id = (v.key).account_id and live.kind = 'secret' and live.revoked_at is null) >= gateway.max_keys() then
        return gateway.refusal(409, 'too_many_keys', jsonb_build_object('limit', gateway.max_keys())) || gateway.policy_of(v.key);
    end if;
    v_now := gateway.clock();
    insert into gateway.api_keys (
        account_id, name, environment, masked, scopes, expires_at, max_requests, spend_limit_nanos, spend_limit_period,
        ip_allowlist, allowed_domains, model_globs, requests_per_minute, tokens_per_minute, concurrency,
        rotate_every_days, rotates_at, is_app_public, created_at)
    values ((v.key).account_id, v_asked.name, v_asked.environment, p_secret ->> 'masked', v_asked.scopes,
            v_now + make_interval(days => (p_key ->> 'expires_in_days')::int), v_asked.max_requests,
            v_asked.spend_limit_nanos, coalesce(v_asked.spend_limit_period, 'total'),
            v_asked.ip_allowlist, v_asked.allowed_domains, v_asked.model_globs,
            v_asked.requests_per_minute, v_asked.tokens_per_minute, v_asked.concurrency,
            v_asked.rotate_every_days, v_now + make_interval(days => v_asked.rotate_every_days),
            coalesce(v_asked.is_app_public, false), v_now)
    on conflict (account_id, name) where kind = 'secret' and revoked_at is null do nothing
    returning * into v_key;
    if not found then
        return gateway.refusal(409, 'key_name_taken') || gateway.policy_of(v.key);
    end if;
    insert into gateway.key_secrets (key_hmac, key_id, created_at) values (decode(p_secret ->> 'key_hmac', 'hex'), v_key.id, v_now)
    returning id into v_secret_id;
    perform gateway.write_key_event(p_caller, v.key, 'key_created', v_key.id,
                                    jsonb_build_object('environment', v_key.environment, 'scopes', v_key.scopes));
    v_answer := jsonb_build_object('verdict', 'key', 'key', gateway.key_view(v_key));
    perform gateway.keep_key_receipt((v.key).account_id, p_receipt, v_answer, v_secret_id);
    return v_answer || gateway.policy_of(v.key);
end $$;

create or replace function api.update_key(p_caller jsonb, p_key_id bigint, p_changes jsonb) returns jsonb
language plpgsql security definer set search_path = '' set lock_timeout = '4s'
as $$
declare
    v         record;
    v_key     gateway.api_keys;
    v_new     gateway.api_keys;
    v_refusal jsonb;
    v_changed text[];
    v_now     timestamptz := gateway.clock();
    v_before  bigint := 0;
begin
    if exists (select from jsonb_object_keys(p_changes) as setting where setting <> all (
            '{name,environment,scopes,is_active,expires_in_days,max_requests,spend_limit_nanos,spend_limit_period,ip_allowlist,allowed_domains,model_globs,requests_per_minute,tokens_per_minute,concurrency,rotate_every_days,is_app_public}')) then
        raise exception 'no setting of a key: %', p_changes using errcode = 'invalid_parameter_value';
    end if;
    if p_changes ? 'spend_limit_period' then
        v_before := gateway.spent_before(p_caller, p_key_id, p_changes ->> 'spend_limit_period', v_now);
    end if;
    select * into v from gateway.enter_to_change(p_caller, p_key_id);
    if v.refusal is not null then
        return v.refusal;
    end if;
    v_key := v.named;
    v_new := gateway.change_key(v_key, p_changes, v_before, v_now);
    v_refusal := gateway.escalation(v.key, p_caller, v_key.environment, v_key.scopes || v_new.scopes);
    if v_refusal is null and v_new.environment <> v_key.environment then
        v_refusal := gateway.refusal(400, 'key_environment_fixed', jsonb_build_object('environment', v_key.environment));
    end if;
    if v_refusal is not null then
        return v_refusal || gateway.policy_of(v.key);
    end if;
    v_changed := array(select setting.key from jsonb_each(to_jsonb(v_new)) as setting
                        where setting.value is distinct from to_jsonb(v_key) -> setting.key order by setting.key);
    begin
        update gateway.api_keys
           set name = v_new.name, scopes = v_new.scopes, is_active = v_new.is_active, expires_at = v_new.expires_at,
               max_requests = v_new.max_requests, spend_limit_nanos = v_new.spend_limit_nanos,
               spend_limit_period = v_new.spend_limit_period, spent_nanos = v_new.spent_nanos, spent_since = v_new.spent_since,
               ip_allowlist = v_new.ip_allowlist, allowed_domains = v_new.allowed_domains, model_globs = v_new.model_globs,
               requests_per_minute = v_new.requests_per_minute, tokens_per_minute = v_new.tokens_per_minute,
               concurrency = v_new.concurrency, rotate_every_days = v_new.rotate_every_days, rotates_at = v_new.rotates_at,
               is_app_public = v_new.is_app_public
         where id = v_key.id;
    exception when unique_violation then
        return gateway.refusal(409, 'key_name_taken') || gateway.policy_of(v.key);
    end;
    if cardinality(v_changed) > 0 then
        perform gateway.write_key_event(p_caller, v.key, 'key_updated', v_key.id, jsonb_build_object(
            'changed', v_changed, 'is_active', v_new.is_active, 'scopes', v_new.scopes));
    end if;
    return jsonb_build_object('verdict', 'key', 'key', gateway.key_view(v_new), 'fingerprints', gateway.key_fingerprints(array[v_key.id]))
        || gateway.policy_of(v.key);
end $$;

create or replace function gateway.activity(p_account_id bigint, p_filter gateway.activity_filter, p_limit int) returns jsonb
language sql stable
as $$
    with matched as (
        select line.*
          from gateway.window_of_activity(p_account_id, p_filter) as line
         where (p_filter.model_id is null or line.model_id = p_filter.model_id)
           and (p_filter.provider is null or line.provider = p_filter.provider)
           and (p_filter.key_id is null or line.key_id = p_filter.key_id)
           and (p_filter.outcome is null or line.outcome = p_filter.outcome)
         order by line.created_at desc, line.generation_id desc limit p_limit + 1
    ),
    shown as (
        select matched.*, key.name as key_name
          from (select * from matched order by created_at desc, generation_id desc limit p_limit) as matched
          left join gateway.api_keys as key on key.id = matched.key_id
    )
    select jsonb_build_object(
        'lines', (select coalesce(jsonb_agg(jsonb_build_object(
                             'generation_id', generation_id, 'created_at', created_at, 'model_id', model_id, 'provider', provider,
                             'key_id', key_id, 'key_name', key_name, 'quantities', gateway.all_units(to_jsonb(quantities)),
                             'reasoning_tokens', reasoning_tokens, 'cost_nanos', cost_nanos, 'charged_nanos', charged_nanos,
                             'outcome', outcome, 'is_stream', is_stream, 'usage_source', usage_source,
                             'first_byte_ms', first_byte_ms, 'duration_ms', duration_ms,
                             'app', request #>> '{app,url}')
                             order by created_at desc, generation_id desc), '[]')
                    from shown),
        'last_seen', case
            when (select count(*) from matched) > p_limit
                then (select jsonb_build_object('created_at', created_at, 'generation_id', generation_id)
                        from shown order by created_at, generation_id limit 1)
            else (select jsonb_build_object('created_at', created_at, 'generation_id', generation_id)
                    from gateway.window_of_activity(p_account_id, p_filter) order by created_at desc, generation_id desc offset 9999 limit 1)
        end)
$$;
