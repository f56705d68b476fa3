-- The purge takes from whoever is not busy, however many are: a count of 0 is that nobody is left who could be taken from.

create or replace function api.erase_history(p_limit int default 1000) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v_session record;
    v_left    int := p_limit;
    v_count   int := 0;
begin
    for v_session in
        -- One that is in use has its turn at a later call; the sweep waits for nobody.
        select session.id
          from gateway.chat_sessions as session
          join gateway.accounts as account on account.id = session.account_id
         where session.deleted_at is not null
         order by session.deleted_at
         limit 100
           for no key update of account skip locked
    loop
        v_left := v_left - gateway.erase_session(v_session.id, v_left);
        v_count := v_count + 1;
        exit when v_left <= 0;
    end loop;
    return jsonb_build_object('count', v_count + p_limit - v_left);
end $$;
