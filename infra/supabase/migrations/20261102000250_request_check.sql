-- The checker learns what must be true of requests that come again; what it knew of sums stays as it was.
alter function gateway.broken_rules(bigint) rename to broken_sums;

create function gateway.broken_requests(p_account_id bigint) returns table (rule text, subject text)
language sql stable
as $$
    select 'a claim belongs to a hold of its key', claim.generation_id::text
      from gateway.replays as claim join gateway.holds as hold on hold.id = claim.generation_id
     where (p_account_id is null or claim.account_id = p_account_id)
       and (claim.account_id, claim.key_id) <> (hold.account_id, hold.key_id)
    union all
    select 'a voided, waived or superseded request has no claim', claim.generation_id::text
      from gateway.replays as claim join gateway.holds as hold on hold.id = claim.generation_id
      left join gateway.usage_lines as line on line.generation_id = claim.generation_id
     where (p_account_id is null or claim.account_id = p_account_id)
       and (hold.state = 'voided' or hold.superseded_by is not null or line.waived_reason is not null)
    union all
    select 'only a settled request has an answer', claim.generation_id::text
      from gateway.replays as claim
     where (p_account_id is null or claim.account_id = p_account_id) and claim.answer is not null
       and not exists (select from gateway.usage_lines where generation_id = claim.generation_id)
    union all
    select 'a superseded request is not charged', line.generation_id::text
      from gateway.holds as hold join gateway.usage_lines as line on line.generation_id = hold.id
     where (p_account_id is null or hold.account_id = p_account_id) and hold.superseded_by is not null and line.cost_nanos > 0
    union all
    select 'a request is superseded by a later one of its key, after its own time', hold.id::text
      from gateway.holds as hold left join gateway.holds as retry on retry.id = hold.superseded_by
     where (p_account_id is null or hold.account_id = p_account_id) and hold.superseded_by is not null
       and (retry.key_id = hold.key_id and retry.created_at >= hold.expires_at and hold.state in ('expired', 'settled_late')) is not true
    union all
    select 'a request moves money in its one settlement', transfer.id::text
      from gateway.transfers as transfer
      left join gateway.holds as hold on hold.id = transfer.generation_id
      left join gateway.usage_lines as line on line.generation_id = transfer.generation_id
     where (p_account_id is null or hold.account_id = p_account_id) and transfer.generation_id is not null
       and (transfer.idempotency_key = 'settle:' || transfer.generation_id and line.generation_id is not null) is not true
    union all
    select 'bytes kept = the answers that are kept', quota.account_id::text
      from gateway.quota_usage as quota
     where (p_account_id is null or quota.account_id = p_account_id)
       and quota.kept_bytes <> (select coalesce(sum(octet_length(answer)), 0) from gateway.replays where account_id = quota.account_id)
    union all
    select 'no wallet is below zero', account_id::text from gateway.wallets
     where (p_account_id is null or account_id = p_account_id) and (posted_nanos < 0 or owed_nanos < 0)
    union all
    select 'no hold outlives its time by an hour', id::text from gateway.holds
     where (p_account_id is null or account_id = p_account_id) and state = 'held' and expires_at < gateway.clock() - interval '1 hour'
$$;

create function gateway.broken_rules(p_account_id bigint default null) returns table (rule text, subject text)
language sql stable
as $$
    select rule, subject from gateway.broken_sums(p_account_id)
    union all
    select rule, subject from gateway.broken_requests(p_account_id)
$$;
