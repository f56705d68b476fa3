-- Responses that a later request may name: sealed, of one account, for thirty days.
create table gateway.stored_responses (
    generation_id uuid primary key references gateway.holds,
    account_id    bigint not null references gateway.accounts,
    previous_id   uuid,
    content       text not null,
    size_bytes    int not null check (size_bytes > 0),
    expires_at    timestamptz not null,
    created_at    timestamptz not null default now()
);
comment on table gateway.stored_responses is
    'What /v1/responses stored: the input and the response of one request, sealed by the gateway. Gone when its time is over, when its owner deletes it, when his account keeps nothing any more, or ends.';
comment on column gateway.stored_responses.previous_id is
    'The response that it continues; that one may have been deleted since, so it is no reference.';
comment on column gateway.stored_responses.size_bytes is
    'Of what is in it once it is opened, which may be a thousand times its sealed text: what a request may name is bounded by this.';
-- Sealed text does not compress.
alter table gateway.stored_responses alter column content set storage external;
create index stored_responses_by_account on gateway.stored_responses (account_id);
create index stored_responses_by_expiry on gateway.stored_responses (expires_at);
alter table gateway.stored_responses enable row level security;

alter table gateway.quota_usage add column stored_bytes bigint not null default 0 check (stored_bytes >= 0);
comment on column gateway.quota_usage.stored_bytes is 'Of the responses that are stored for this account; they have a bound.';

create function gateway.count_unstored_bytes() returns trigger
language plpgsql
as $$
begin
    update gateway.quota_usage as quota
       set stored_bytes = quota.stored_bytes - deleted.bytes
      from (select account_id, sum(octet_length(content)) as bytes from before_it group by account_id) as deleted
     where quota.account_id = deleted.account_id;
    return null;
end $$;
create trigger count_stored_bytes_of_a_deletion after delete on gateway.stored_responses
    referencing old table as before_it for each statement execute function gateway.count_unstored_bytes();

create function api.store_response(p_generation_id uuid, p_previous_id uuid, p_content text, p_size_bytes int) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v_account_id bigint;
    v_keeps      boolean;
    v_now        timestamptz;
begin
    select account_id into v_account_id from gateway.holds where id = p_generation_id;
    if not found then
        return gateway.refusal(404, 'unknown_hold');
    end if;
    -- Whoever ends the account, or has it keep nothing, is waited for, so that nothing is stored behind his back.
    select not is_zero_retention and status <> 'deleted' into strict v_keeps from gateway.accounts where id = v_account_id for share;
    v_now := gateway.clock();
    if not v_keeps then
        return gateway.refusal(409, 'response_not_stored', jsonb_build_object('reason', 'zero_retention'));
    end if;
    -- Twice at once, as when an answer of ours was lost on its way, is once: who comes second finds what the first stored.
    perform from gateway.quota_usage where account_id = v_account_id for no key update;
    perform from gateway.stored_responses where generation_id = p_generation_id;
    if found then
        return jsonb_build_object('verdict', 'stored');
    end if;
    update gateway.quota_usage set stored_bytes = stored_bytes + octet_length(p_content)
     where account_id = v_account_id and stored_bytes + octet_length(p_content) <= 268435456;
    if not found then
        return gateway.refusal(409, 'response_not_stored', jsonb_build_object('reason', 'full'));
    end if;
    insert into gateway.stored_responses (generation_id, account_id, previous_id, content, size_bytes, expires_at, created_at)
    values (p_generation_id, v_account_id, p_previous_id, p_content, p_size_bytes, v_now + interval '30 days', v_now);
    return jsonb_build_object('verdict', 'stored');
end $$;
comment on function api.store_response is
    'Stores what a request of /v1/responses was answered, for thirty days and up to 256 MiB an account; again, also at once, changes nothing.';

create function gateway.response_chain(p_account_id bigint, p_last_id uuid, p_now timestamptz)
returns table (depth int, generation_id uuid, previous_id uuid)
language sql stable
as $$
    with recursive chain as (
        select 1 as depth, last.generation_id, last.previous_id
          from gateway.stored_responses as last
         where last.generation_id = p_last_id and last.account_id = p_account_id and last.expires_at > p_now
        union all
        select chain.depth + 1, earlier.generation_id, earlier.previous_id
          from chain join gateway.stored_responses as earlier on earlier.generation_id = chain.previous_id
         where earlier.account_id = p_account_id and earlier.expires_at > p_now and chain.depth < 1000
    )
    select chain.depth, chain.generation_id, chain.previous_id from chain
$$;
comment on function gateway.response_chain is
    'A response of this account and those that it continues, as far as they are there and a thousand at most; whole when the last has no previous_id.';

create function api.read_conversation(p_caller jsonb, p_previous_id uuid, p_named_ids uuid[]) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v            record;
    v_now        timestamptz := gateway.clock();
    v_account_id bigint;
    v_chain      uuid[];
    v_is_whole   boolean;
    v_bytes      bigint;
    v_earlier    jsonb;
begin
    select * into v from gateway.enter(p_caller);
    if v.refusal is not null then
        return v.refusal;
    end if;
    v_account_id := (v.key).account_id;
    select array_agg(generation_id order by depth desc), bool_or(previous_id is null) into v_chain, v_is_whole
      from gateway.response_chain(v_account_id, p_previous_id, v_now);
    if p_previous_id is not null and v_is_whole is not true and cardinality(v_chain) = 1000 then
        return gateway.refusal(400, 'conversation_too_large') || gateway.policy_of(v.key);
    end if;
    if p_previous_id is not null and v_is_whole is not true then
        return gateway.refusal(400, 'previous_response_not_found',
                               jsonb_build_object('is_there', case when v_chain is null then 0 else 1 end)) || gateway.policy_of(v.key);
    end if;
    select sum(size_bytes) into v_bytes from gateway.stored_responses
     where account_id = v_account_id and expires_at > v_now and generation_id = any (v_chain || p_named_ids);
    if v_bytes > 16777216 then
        return gateway.refusal(400, 'conversation_too_large') || gateway.policy_of(v.key);
    end if;
    select coalesce(jsonb_agg(stored.content order by place), '[]') into v_earlier
      from unnest(v_chain) with ordinality as chained (generation_id, place)
      join gateway.stored_responses as stored using (generation_id);
    -- What was deleted since the chain was read would be a hole.
    if jsonb_array_length(v_earlier) < cardinality(v_chain) then
        return gateway.refusal(400, 'previous_response_not_found', jsonb_build_object('is_there', 1)) || gateway.policy_of(v.key);
    end if;
    return gateway.answer('conversation', v.key, jsonb_build_object(
        'earlier', v_earlier,
        'named', coalesce((select jsonb_agg(content) from gateway.stored_responses
                            where account_id = v_account_id and expires_at > v_now and generation_id = any (p_named_ids)), '[]')));
end $$;
comment on function api.read_conversation is
    'What a request names of the responses of its account: the one that it continues with all before it, oldest first, and others. Another account''s answer like those that never were.';

create function api.read_response(p_caller jsonb, p_generation_id uuid) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v        record;
    v_stored record;
begin
    select * into v from gateway.enter(p_caller);
    if v.refusal is not null then
        return v.refusal;
    end if;
    select stored.content, line.cost_nanos into v_stored
      from gateway.stored_responses as stored
      left join gateway.usage_lines as line on line.generation_id = stored.generation_id
     where stored.generation_id = p_generation_id and stored.account_id = (v.key).account_id and stored.expires_at > gateway.clock();
    if not found then
        return gateway.refusal(404, 'response_not_found') || gateway.policy_of(v.key);
    end if;
    return gateway.answer('response', v.key, jsonb_build_object('content', v_stored.content, 'cost_nanos', v_stored.cost_nanos));
end $$;
comment on function api.read_response is 'One stored response of the key''s account, and what it cost as far as that is settled.';

create function api.delete_response(p_caller jsonb, p_generation_id uuid) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v record;
begin
    select * into v from gateway.enter(p_caller);
    if v.refusal is not null then
        return v.refusal;
    end if;
    perform from gateway.stored_responses
     where generation_id = p_generation_id and account_id = (v.key).account_id and expires_at > gateway.clock();
    if not found then
        return gateway.refusal(404, 'response_not_found') || gateway.policy_of(v.key);
    end if;
    -- What is kept of it for a retry says the same. Claims first, as everybody has it who erases both.
    update gateway.replays set answer = null, is_erased = true where generation_id = p_generation_id;
    delete from gateway.stored_responses where generation_id = p_generation_id;
    return gateway.answer('deleted', v.key, '{}');
end $$;
comment on function api.delete_response is 'Erases a stored response, and what is kept of it for a retry; the bill stays.';

create or replace function gateway.erase_kept_answers(p_account_id bigint) returns void
language sql
as $$
    -- The claims stay, so that a request that comes again is known and not paid for twice.
    update gateway.replays set answer = null, is_erased = true where account_id = p_account_id and answer is not null;
    delete from gateway.stored_responses where account_id = p_account_id;
$$;
comment on function gateway.erase_kept_answers is 'Erases every answer of an account, for retries and for later requests.';

alter function gateway.erase_spent(int, timestamptz) rename to erase_spent_receipts;
create function gateway.erase_spent(p_limit int, p_now timestamptz) returns int
language plpgsql
as $$
declare
    v_count int;
begin
    delete from gateway.stored_responses
     where generation_id in (select generation_id from gateway.stored_responses where expires_at <= p_now
                              order by expires_at limit p_limit for update skip locked);
    get diagnostics v_count = row_count;
    return v_count + gateway.erase_spent_receipts(p_limit, p_now);
end $$;
comment on function gateway.erase_spent is 'Erases stored responses whose time is over, receipts and old secrets, and what was sealed in receipts.';

alter function gateway.broken_requests(bigint) rename to broken_claims;
create function gateway.broken_requests(p_account_id bigint) returns table (rule text, subject text)
language sql stable
as $$
    select rule, subject from gateway.broken_claims(p_account_id)
    union all
    select 'bytes stored = the responses that are stored', quota.account_id::text
      from gateway.quota_usage as quota
     where (p_account_id is null or quota.account_id = p_account_id)
       and quota.stored_bytes <> (select coalesce(sum(octet_length(content)), 0) from gateway.stored_responses where account_id = quota.account_id)
    union all
    select 'a stored response is of the account that asked for it', stored.generation_id::text
      from gateway.stored_responses as stored join gateway.holds as hold on hold.id = stored.generation_id
     where (p_account_id is null or stored.account_id = p_account_id) and stored.account_id <> hold.account_id
$$;

create function api.find_answer(p_caller jsonb, p_claim jsonb) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v         record;
    v_claim   gateway.claim := gateway.read_claim(p_claim);
    v_found   gateway.replays;
    v_verdict jsonb;
begin
    select * into v from gateway.enter_locked(p_caller, p_takes_account => false, p_takes_wallet => true);
    if v.refusal is not null then
        return v.refusal;
    end if;
    perform gateway.bring_to_time((v.key).account_id, v.at);
    v_found := gateway.find_claim((v.key).id, v_claim, v.at);
    if v_found.generation_id is not null then
        v_verdict := gateway.answer_again(v_found, v_claim.body_hmacs);
    end if;
    return coalesce(v_verdict, '{"verdict": "unknown_claim"}') || jsonb_build_object('policy', gateway.limits_policy((v.key).id));
end $$;
comment on function api.find_answer is
    'What a request that came before and was paid for was answered, or why that is not there: for one whose conversation is gone since, so that it could not be admitted anew.';

create function api.check_caller(p_caller jsonb) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v record;
begin
    select * into v from gateway.enter(p_caller);
    return coalesce(v.refusal, jsonb_build_object('verdict', 'policy', 'policy', gateway.limits_policy((v.key).id)));
end $$;
comment on function api.check_caller is 'May this key do what its route asks for? For a request that is answered without the database and costs nothing.';
