-- A fresh cluster made like Supabase's: the same roles, owners, default privileges and time limits, so that grants are
-- really tested. Run once, as the superuser; the passwords come as settings of the session.

create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role authenticator login noinherit;
-- On Supabase the owner of migrations is no superuser.
create role postgres login createdb createrole bypassrls;

do $$
begin
    execute format('alter role authenticator password %L', current_setting('bootstrap.authenticator_password'));
    execute format('alter role postgres password %L', current_setting('bootstrap.postgres_password'));
end
$$;

grant anon, authenticated, service_role to authenticator;
grant anon, authenticated, service_role, authenticator to postgres with admin option;

alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';
alter role postgres set search_path = "$user", public, extensions;

alter database postgres owner to postgres;
alter schema public owner to postgres;
grant usage on schema public to postgres, anon, authenticated, service_role;

alter default privileges for role postgres in schema public
    grant all on tables to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public
    grant all on functions to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public
    grant all on sequences to postgres, anon, authenticated, service_role;

create schema extensions authorization postgres;
grant usage on schema extensions to postgres, anon, authenticated, service_role;

do $$
begin
    if exists (select from pg_catalog.pg_available_extensions where name = 'pgcrypto') then
        create extension pgcrypto with schema extensions;
    end if;
end
$$;
