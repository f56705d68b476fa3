-- How providers do is told by Redis, where every attempt is counted as it ends; usage lines are read for money alone.
drop function api.provider_health();

create function api.is_answering() returns boolean
language sql stable security definer set search_path = ''
as $$ select true $$;
comment on function api.is_answering is 'The database''s sign of life.';
