-- Two schemas: `gateway` keeps everything and is exposed to no one; `api` holds the functions that our servers call.
create schema gateway;
create schema api;
comment on schema gateway is 'Everything the gateway keeps. Not exposed by PostgREST.';
comment on schema api is 'The functions our servers call through PostgREST, as service_role alone.';

revoke all on schema gateway, api from public;
grant usage on schema api to service_role;

-- A function is executable by everyone unless that default is taken away first.
alter default privileges revoke execute on functions from public;
alter default privileges in schema api revoke execute on functions from anon, authenticated;
alter default privileges in schema api grant execute on functions to service_role;

create function gateway.clock() returns timestamptz
language sql volatile
as $$ select clock_timestamp() $$;
comment on function gateway.clock() is
    'The time, for every function here: read after the wallet is locked, and the one thing a test replaces to move it.';
