-- Of a deleted account nothing says which apps it used: its usage lines may be many, so they are gone through afterwards.

create table gateway.app_erasures (
    account_id bigint primary key references gateway.accounts,
    done_to    timestamptz not null default '-infinity',
    created_at timestamptz not null default gateway.clock()
);
comment on table gateway.app_erasures is 'Deleted accounts whose usage lines may still name apps; those up to done_to do not.';
alter table gateway.app_erasures enable row level security;
insert into gateway.app_erasures (account_id) select id from gateway.accounts where status = 'deleted';

create function gateway.note_app_erasure() returns trigger
language plpgsql
as $$
begin
    insert into gateway.app_erasures (account_id) values (new.id) on conflict do nothing;
    return null;
end $$;
create trigger note_app_erasure after update of status on gateway.accounts
    for each row when (new.status = 'deleted' and old.status <> 'deleted') execute function gateway.note_app_erasure();

create function api.erase_apps(p_limit int default 5000) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
    v_erasure gateway.app_erasures;
    v_last    timestamptz;
    v_count   int;
begin
    -- What was under way when the account ended is settled within the hour; the sweep of a day later finds it.
    select * into v_erasure from gateway.app_erasures
     where exists (select from gateway.usage_lines as line
                    where line.account_id = app_erasures.account_id and line.created_at > app_erasures.done_to)
     order by account_id limit 1 for update skip locked;
    if not found then
        with over as (
            delete from gateway.app_erasures
             where created_at < gateway.clock() - interval '1 day'
               and not exists (select from gateway.usage_lines as line
                                where line.account_id = app_erasures.account_id and line.created_at > app_erasures.done_to)
            returning account_id
        )
        -- Once more: an hour that was being summed when the account ended was written after the first time.
        delete from gateway.app_hours
         where key_id in (select key.id from gateway.api_keys as key join over using (account_id));
        return jsonb_build_object('count', 0);
    end if;
    delete from gateway.app_hours where key_id in (select id from gateway.api_keys where account_id = v_erasure.account_id);
    -- All lines of a moment together, however many there are.
    select max(created_at), count(*) into v_last, v_count
      from (select created_at from gateway.usage_lines
             where account_id = v_erasure.account_id and created_at > v_erasure.done_to
             order by created_at limit p_limit) as page;
    update gateway.usage_lines set request = request - 'app'
     where account_id = v_erasure.account_id and created_at > v_erasure.done_to and created_at <= v_last and request ? 'app';
    update gateway.app_erasures set done_to = v_last where account_id = v_erasure.account_id;
    return jsonb_build_object('count', v_count);
end $$;
comment on function api.erase_apps is
    'Takes from some usage lines of a deleted account the apps that they name; tells how many lines were gone through. Again, or twice at once, does no more.';
