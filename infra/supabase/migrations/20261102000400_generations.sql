-- What an account may know of one of its requests, and have erased of it.

create function gateway.find_reader(
    p_key_hmacs text[], p_address text, p_origin_host text, out reader gateway.api_keys, out refusal jsonb
)
language plpgsql
as $$
begin
    select * into reader from gateway.api_keys
     where key_hmac = any (array(select decode(hmac, 'hex') from unnest(p_key_hmacs) as hmac));
    if not found then
        refusal := gateway.refusal(401, 'invalid_api_key');
        return;
    end if;
    refusal := gateway.key_refusal(reader, 'inference', '{}', gateway.read_address(p_address), p_origin_host, gateway.clock());
    if refusal ->> 'code' = 'key_requests_exhausted' then
        -- The last of the rules that a key is held to: who has no request left may still see what the others cost.
        refusal := null;
    end if;
    if refusal ->> 'code' <> 'invalid_api_key' then
        refusal := refusal || jsonb_build_object('policy', gateway.limits_policy(reader.id));
    end if;
end $$;
comment on function gateway.find_reader is
    'The key that looks at what its account has asked for, or why it may not: by the rules of a request, but counted nowhere.';

create function gateway.all_units(p_numbers jsonb) returns jsonb
language sql immutable
as $$ select to_jsonb(row(0, 0, 0, 0, 0, 0)::gateway.quantities) || jsonb_strip_nulls(p_numbers) $$;
comment on function gateway.all_units is 'Numbers by unit, those that were never given as zero.';

create function gateway.bill(p_line gateway.usage_lines) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'request', p_line.request,
        'model_id', p_line.model_id, 'provider', p_line.provider, 'upstream_id', p_line.upstream_id,
        'is_stream', p_line.is_stream, 'attempts', p_line.attempts,
        'price_id', p_line.price_id,
        'rates', (select gateway.all_units(to_jsonb(price.price)) from gateway.prices as price where price.id = p_line.price_id),
        'quantities', gateway.all_units(to_jsonb(p_line.quantities)), 'reasoning_tokens', p_line.reasoning_tokens,
        'usage_source', p_line.usage_source, 'outcome', p_line.outcome, 'waived_reason', p_line.waived_reason,
        'is_late', p_line.is_late,
        'cost_nanos', p_line.cost_nanos, 'charged_nanos', p_line.charged_nanos, 'shortfall_nanos', p_line.shortfall_nanos,
        'first_byte_ms', p_line.first_byte_ms, 'duration_ms', p_line.duration_ms)
$$;
comment on function gateway.bill is
    'A usage line as its customer sees it. What the provider took from the house, and took too much, is not the customer''s business.';

create function api.read_generation(
    p_key_hmacs text[], p_generation_id uuid, p_address text default null, p_origin_host text default null
) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v            record;
    v_now        timestamptz := gateway.clock();
    v_generation jsonb;
begin
    select * into v from gateway.find_reader(p_key_hmacs, p_address, p_origin_host);
    if v.refusal is not null then
        return v.refusal;
    end if;
    select jsonb_build_object(
               'verdict', 'generation', 'id', hold.id, 'created_at', hold.created_at, 'hold_model_id', hold.model_id,
               'superseded_by', hold.superseded_by,
               'hold', jsonb_build_object(
                   'amount_nanos', hold.amount_nanos, 'extensions', hold.extensions, 'expires_at', hold.expires_at,
                   -- One whose time is over holds nothing, whether or not somebody has come by to write it down.
                   'state', case when hold.state = 'held' and hold.expires_at <= v_now then 'expired' else hold.state end),
               'bill', case when line.generation_id is not null then gateway.bill(line) end,
               'kept_answer', case when kept.answer is not null and kept.expires_at > v_now then
                   jsonb_build_object('expires_at', kept.expires_at, 'replays', kept.replays) end)
      into v_generation
      from gateway.holds as hold
      left join gateway.usage_lines as line on line.generation_id = hold.id
      left join gateway.replays as kept on kept.generation_id = hold.id
     where hold.id = p_generation_id and hold.account_id = (v.reader).account_id;
    return coalesce(v_generation, gateway.refusal(404, 'generation_not_found'))
        || jsonb_build_object('policy', gateway.limits_policy((v.reader).id));
end $$;
comment on function api.read_generation is
    'What one request of the key''s account was and cost. Another account''s answers like one that never was.';

create function api.erase_answer(
    p_key_hmacs text[], p_generation_id uuid, p_address text default null, p_origin_host text default null
) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v record;
begin
    select * into v from gateway.find_reader(p_key_hmacs, p_address, p_origin_host);
    if v.refusal is not null then
        return v.refusal;
    end if;
    perform from gateway.holds where id = p_generation_id and account_id = (v.reader).account_id;
    if not found then
        return gateway.refusal(404, 'generation_not_found') || jsonb_build_object('policy', gateway.limits_policy((v.reader).id));
    end if;
    -- The mark stays, so that a request that is still under way leaves no answer either; and so does the claim, so that
    -- one that comes again is known and not paid for twice.
    update gateway.replays set answer = null, is_erased = true where generation_id = p_generation_id;
    return jsonb_build_object('verdict', 'erased', 'policy', gateway.limits_policy((v.reader).id));
end $$;
comment on function api.erase_answer is
    'Erases what is kept of an answer for a retry, now and for good; the bill stays. Erasing again, or where nothing is kept, changes nothing.';
