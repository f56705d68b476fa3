-- Keys as their owners change, rotate, collect and end them: the named one alone.

create function gateway.last_open_day(p_now timestamptz) returns date
language sql immutable
as $$ select ((p_now - interval '10 minutes') at time zone 'UTC')::date $$;
comment on function gateway.last_open_day is 'The day (UTC) before which no usage line comes any more. Not at once after midnight: a clock that is set back a little must not write into a day that is closed.';

create function gateway.spent_by_key(p_key gateway.api_keys, p_period text, p_now timestamptz, p_from date, p_to date) returns bigint
language plpgsql stable
as $$
declare
    -- A period begins with a day, and before its own first day a key has spent nothing.
    v_first date := (greatest(gateway.period_start(p_period, p_now), p_key.created_at) at time zone 'UTC')::date;
begin
    -- The sums of days come in a later file.
    return (select coalesce(sum(usage.charged_nanos), 0)::bigint
              from gateway.usage_between(p_key.account_id, greatest(v_first, p_from), p_to) as usage
             where usage.key_id = p_key.id);
end $$;

create function gateway.spent_before(p_caller jsonb, p_key_id bigint, p_period text, p_now timestamptz) returns bigint
language plpgsql
as $$
declare
    v     record;
    v_key gateway.api_keys;
begin
    select * into v from gateway.enter(p_caller);
    select * into v_key from gateway.api_keys
     where id = p_key_id and account_id = (v.key).account_id and v.refusal is null and spend_limit_period <> p_period;
    return case when v_key.id is null then 0
                else gateway.spent_by_key(v_key, p_period, p_now, '-infinity', gateway.last_open_day(p_now)) end;
end $$;
comment on function gateway.spent_before is
    'What a key spent in a period before the open day: summed before the key is locked, since a sum of years may take a second and every settlement of the key would wait.';

create function gateway.change_key(
    p_key gateway.api_keys, p_changes jsonb, p_spent_before bigint, p_now timestamptz
) returns gateway.api_keys
language plpgsql stable
as $$
declare
    v_new gateway.api_keys := jsonb_populate_record(p_key, p_changes);
begin
    if p_changes ? 'expires_in_days' then
        v_new.expires_at := p_now + make_interval(days => (p_changes ->> 'expires_in_days')::int);
    end if;
    if v_new.rotate_every_days is distinct from p_key.rotate_every_days then
        v_new.rotates_at := p_now + make_interval(days => v_new.rotate_every_days);
    end if;
    if v_new.spend_limit_period <> p_key.spend_limit_period then
        v_new.spent_since := gateway.period_start(v_new.spend_limit_period, p_now);
        -- Two days on: midnight may have come while the key was waited for.
        v_new.spent_nanos := p_spent_before + gateway.spent_by_key(
            p_key, v_new.spend_limit_period, p_now, gateway.last_open_day(p_now), (p_now at time zone 'UTC')::date + 2);
    end if;
    return v_new;
end $$;
comment on function gateway.change_key is
    'A key with these changes: an absent setting stays, a null lifts it. Another spend period counts what was spent in it so far.';

create function api.update_key(p_caller jsonb, p_key_id bigint, p_changes jsonb) returns jsonb
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
            '{name,environment,scopes,is_active,expires_in_days,max_requests,spend_limit_nanos,spend_limit_period,ip_allowlist,allowed_domains,model_globs,requests_per_minute,tokens_per_minute,concurrency,rotate_every_days}')) then
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
               concurrency = v_new.concurrency, rotate_every_days = v_new.rotate_every_days, rotates_at = v_new.rotates_at
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
comment on function api.update_key is
    'Changes the named key alone; fingerprints: what the limiter is to forget. Nobody changes a key that has a scope or an environment beyond his own.';

create function gateway.replace_secret(
    p_key gateway.api_keys, p_secret jsonb, p_keep_until timestamptz, p_now timestamptz
) returns gateway.api_keys
language plpgsql
as $$
declare
    v_key gateway.api_keys;
begin
    -- The secrets before the key, as every call takes them.
    delete from gateway.key_secrets where key_id = p_key.id and least(expires_at, p_keep_until) <= p_now;
    update gateway.key_secrets set expires_at = least(expires_at, p_keep_until) where key_id = p_key.id;
    insert into gateway.key_secrets (key_hmac, key_id, created_at) values (decode(p_secret ->> 'key_hmac', 'hex'), p_key.id, p_now);
    update gateway.api_keys
       set masked = p_secret ->> 'masked', pending_secret = p_secret ->> 'sealed',
           pending_secret_id = decode(p_secret ->> 'secret_id', 'hex'),
           rotates_at = p_now + make_interval(days => rotate_every_days)
     where id = p_key.id
    returning * into v_key;
    return v_key;
end $$;
comment on function gateway.replace_secret is
    'Gives a key another secret; those before it work until p_keep_until and no longer. `least` passes over the null of one that has no end.';

create function gateway.newest_secret(p_key_id bigint) returns bigint
language sql stable
as $$ select max(id) from gateway.key_secrets where key_id = p_key_id $$;

create function gateway.rotated_before(p_key_id bigint, p_secret jsonb, p_caller jsonb) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
               'verdict', 'key', 'key', gateway.key_view(key), 'policy', gateway.limits_policy(key.id),
               'fingerprints', to_jsonb(gateway.key_fingerprints(array[key.id])) || (p_caller -> 'key_hmacs'))
      from gateway.key_secrets as secret join gateway.api_keys as key on key.id = secret.key_id
     where secret.key_hmac = decode(p_secret ->> 'key_hmac', 'hex') and key.id = p_key_id
$$;
comment on function gateway.rotated_before is
    'What a rotation answered whose answer was lost on the way to us: this very secret is the key''s already. A key that has rotated itself has no other way in: the secret that it called with is gone.';

create function api.rotate_key(p_caller jsonb, p_key_id bigint, p_secret jsonb, p_overlap_hours int, p_receipt jsonb) returns jsonb
language plpgsql security definer set search_path = '' set lock_timeout = '4s'
as $$
declare
    v              record;
    v_key          gateway.api_keys;
    v_answer       jsonb;
    v_now          timestamptz;
    v_fingerprints text[];
begin
    select * into v from gateway.enter_to_change(p_caller, p_key_id);
    -- Looked for after the wait, which may have been for our own first attempt; and before a refusal, which may be its doing.
    v_answer := coalesce(gateway.rotated_before(p_key_id, p_secret, p_caller), v.refusal);
    if v_answer is not null then
        return v_answer;
    end if;
    v_key := v.named;
    v_answer := coalesce(gateway.escalation(v.key, p_caller, v_key.environment, v_key.scopes),
                         gateway.replayed_key(v.key, p_caller, p_receipt));
    if v_answer is not null then
        return v_answer || gateway.policy_of(v.key);
    end if;
    v_now := gateway.clock();
    if p_overlap_hours > 0 and (select count(*) from gateway.key_secrets as secret
                                 where secret.key_id = v_key.id and secret.expires_at > v_now) >= gateway.max_old_secrets() then
        return gateway.refusal(409, 'too_many_old_secrets', jsonb_build_object('limit', gateway.max_old_secrets())) || gateway.policy_of(v.key);
    end if;
    v_fingerprints := gateway.key_fingerprints(array[v_key.id]);
    v_key := gateway.replace_secret(v_key, p_secret, v_now + make_interval(hours => p_overlap_hours), v_now);
    perform gateway.write_key_event(p_caller, v.key, 'key_rotated', v_key.id, jsonb_build_object('overlap_hours', p_overlap_hours));
    v_answer := jsonb_build_object('verdict', 'key', 'key', gateway.key_view(v_key), 'fingerprints', v_fingerprints);
    perform gateway.keep_key_receipt((v.key).account_id, p_receipt, v_answer, gateway.newest_secret(v_key.id));
    return v_answer || gateway.policy_of(v.key);
end $$;
comment on function api.rotate_key is 'Gives a key a new secret and keeps its id, settings and history. The secrets before it work for p_overlap_hours more; 0 ends them now.';

create function api.collect_key(p_caller jsonb, p_key_id bigint, p_secret_ids text[], p_receipt jsonb) returns jsonb
language plpgsql security definer set search_path = '' set lock_timeout = '4s'
as $$
declare
    v        record;
    v_key    gateway.api_keys;
    v_answer jsonb;
    v_sealed text;
begin
    select * into v from gateway.enter_to_change(p_caller, p_key_id);
    if v.refusal is not null then
        return v.refusal;
    end if;
    v_key := v.named;
    v_answer := coalesce(gateway.escalation(v.key, p_caller, v_key.environment, v_key.scopes),
                         gateway.replayed_key(v.key, p_caller, p_receipt));
    if v_answer is null and v_key.pending_secret is null then
        v_answer := gateway.refusal(409, 'no_secret_to_collect');
    elsif v_answer is null and encode(v_key.pending_secret_id, 'hex') <> all (p_secret_ids) then
        -- It stays: a server whose list has that secret of ours may be asked next.
        v_answer := gateway.refusal(409, 'secret_cannot_be_opened');
    end if;
    if v_answer is not null then
        return v_answer || gateway.policy_of(v.key);
    end if;
    v_sealed := v_key.pending_secret;
    update gateway.api_keys set pending_secret = null, pending_secret_id = null where id = v_key.id returning * into v_key;
    perform gateway.write_key_event(p_caller, v.key, 'key_collected', v_key.id, '{}');
    v_answer := jsonb_build_object('verdict', 'key', 'key', gateway.key_view(v_key));
    perform gateway.keep_key_receipt((v.key).account_id, p_receipt || jsonb_build_object('sealed', v_sealed), v_answer,
                                     gateway.newest_secret(v_key.id));
    return v_answer || jsonb_build_object('sealed', v_sealed) || gateway.policy_of(v.key);
end $$;
comment on function api.collect_key is
    'Hands out, once, the sealed secret that a rotation by schedule made. p_secret_ids: the names of our secrets that whoever asks can open it with.';

create function api.revoke_key(p_caller jsonb, p_key_id bigint) returns jsonb
language plpgsql security definer set search_path = '' set lock_timeout = '4s'
as $$
declare
    v              record;
    v_refusal      jsonb;
    v_fingerprints text[];
begin
    -- Who is suspended may still end a key that has leaked.
    select * into v from gateway.enter_to_change(p_caller, p_key_id, p_may_be_suspended => true);
    if v.refusal ->> 'code' = 'key_not_found' then
        -- Asked for once more, perhaps because the first answer was lost: it is as it was asked to be.
        perform from gateway.api_keys where id = p_key_id and account_id = (v.key).account_id and kind = 'secret';
        return case when found then jsonb_build_object('verdict', 'revoked', 'fingerprints', '[]'::jsonb) || gateway.policy_of(v.key)
                    else v.refusal end;
    end if;
    if v.refusal is not null then
        return v.refusal;
    end if;
    v_refusal := gateway.escalation(v.key, p_caller, (v.named).environment, '{}');
    if v_refusal is not null then
        return v_refusal || gateway.policy_of(v.key);
    end if;
    v_fingerprints := gateway.key_fingerprints(array[(v.named).id]);
    delete from gateway.key_secrets where key_id = (v.named).id;
    update gateway.api_keys
       set is_active = false, revoked_at = gateway.clock(), pending_secret = null, pending_secret_id = null,
           rotate_every_days = null, rotates_at = null
     where id = (v.named).id;
    perform gateway.write_key_event(p_caller, v.key, 'key_revoked', (v.named).id, '{}');
    return jsonb_build_object('verdict', 'revoked', 'fingerprints', v_fingerprints) || gateway.policy_of(v.key);
end $$;
comment on function api.revoke_key is 'Ends a key for good: no secret of it is found again, its row stays for the books. It takes no scope of the key''s own to end it.';
