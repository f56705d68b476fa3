-- What follows a change of plan, and what time alone brings: the end of a grace, and of what goes on for accounts that are gone.

create function gateway.fingerprints_to_forget(p_account gateway.accounts, p_now timestamptz) returns text[]
language sql stable
as $$
    -- An hour and a little: whoever died between the change and forgetting is repeated, and forgets then.
    select case when p_account.plan_changed_at > p_now - interval '65 minutes'
                then gateway.key_fingerprints(array(select id from gateway.api_keys where account_id = p_account.id))
                else '{}' end
$$;
comment on function gateway.fingerprints_to_forget is
    'What the limiter knows an account''s keys by, as long as it may still hold them to the limits of a former plan: it remembers those for an hour.';

create function gateway.posted_plan(p_account_id bigint, p_now timestamptz) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
               'verdict', 'posted', 'account_id', account.id, 'plan_id', account.plan_id,
               'mails', exists (select from gateway.outbox where account_id = account.id and created_at >= p_now),
               'fingerprints', gateway.fingerprints_to_forget(account, p_now))
      from gateway.accounts as account where account.id = p_account_id
$$;
comment on function gateway.posted_plan is 'The plan that an account is on now; whether mails were written with it, and what the limiter has to forget.';

create function api.end_graces(p_limit int default 100) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '4s'
as $$
declare
    v_now        timestamptz := gateway.clock();
    v_account_id bigint;
    v_count      int := 0;
begin
    for v_account_id in
        -- Whoever has an account just now may be posting what was paid: the next sweep looks again. So no lock is waited for here.
        select id from gateway.accounts
         where id in (select account_id from gateway.subscriptions
                       where status = 'past_due' and grace_ended_at is null and past_due_since <= v_now - gateway.grace()
                       order by past_due_since limit p_limit)
         order by id
           for no key update skip locked
    loop
        update gateway.subscriptions set grace_ended_at = v_now
         where account_id = v_account_id and status = 'past_due' and grace_ended_at is null and past_due_since <= v_now - gateway.grace();
        perform gateway.change_plan(v_account_id, 'grace', v_now);
        v_count := v_count + 1;
    end loop;
    return jsonb_build_object('count', v_count, 'fingerprints', (
        select coalesce(jsonb_agg(distinct fingerprint), '[]')
          from gateway.subscriptions as subscription
          join gateway.accounts as account on account.id = subscription.account_id,
               lateral unnest(gateway.fingerprints_to_forget(account, v_now)) as fingerprint
         where subscription.grace_ended_at > v_now - interval '65 minutes'));
end $$;
comment on function api.end_graces is
    'Takes their plan from accounts whose payment has failed for as long as the grace is. fingerprints: what the limiter has to forget, of the sweeps of the last hour too.';

create function api.due_cancellations(p_limit int default 100) returns jsonb
language sql stable security definer set search_path = ''
as $$
    -- The least tried first: each attempt claims a number, so those that always fail hold up no other.
    select coalesce(jsonb_agg(due.id order by due.claimed, due.id), '[]')
      from (select subscription.id, coalesce(sync.claimed, 0) as claimed
              from gateway.subscriptions as subscription join gateway.accounts as account on account.id = subscription.account_id
              left join gateway.syncs as sync on sync.object_id = subscription.id
             where account.status = 'deleted' and gateway.is_live(subscription)
             order by 2, 1 limit p_limit) as due
$$;
comment on function api.due_cancellations is 'The subscriptions that go on at Stripe although their account is deleted.';
