-- What a stored message says, the words that it is found by, and those that a search asks for.

create function gateway.message_text(p_message jsonb) returns text
language sql immutable
as $$
    select case jsonb_typeof(p_message -> 'content')
           when 'string' then p_message ->> 'content'
           when 'array' then (select string_agg(part ->> 'text', E'\n') from jsonb_array_elements(p_message -> 'content') as part)
           end
$$;
comment on function gateway.message_text is 'What a message says in words; null where it has none.';

create function gateway.account_lexeme(p_account_id bigint) returns text
language sql immutable
-- No word of a text has a space in it.
as $$ select 'account ' || p_account_id $$;

create function gateway.unspaced_letters() returns text
language sql immutable
-- Thai to Tibetan, Burmese, Khmer, kana, ideographs and Hangul, whose words end in particles.
as $$ select '\u0E00-\u109F\u1780-\u17FF\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3041-\u3096\u309D-\u309F\u30A1-\u30FA\u30FC-\u30FF\u31F0-\u31FF\u3400-\u4DBF\u4E00-\u9FFF\uAC00-\uD7A3\uF900-\uFAFF\uFF66-\uFF9F\U00020000-\U0003FFFF' $$;
comment on function gateway.unspaced_letters is 'For a regular expression''s brackets: letters of scripts that do not write spaces between all words.';

create function gateway.spaced_text(p_text text) returns text
language sql immutable
-- Quotation marks, dashes and symbols beyond ASCII, which a database of another locale takes for letters.
as $$ select regexp_replace(p_text, '[' || gateway.unspaced_letters() || '\u0080-\u00A9\u00AB-\u00B4\u00B6-\u00B9\u00BB-\u00BF\u2000-\u206F\u2190-\u2BFF\u2E00-\u2E7F\u3000-\u3004\u3008-\u3020\u3030\u30FB\uFE10-\uFE1F\uFE30-\uFE6F\uFF00-\uFF0F\uFF1A-\uFF20\uFF3B-\uFF40\uFF5B-\uFF65]+', ' ', 'g') $$;
comment on function gateway.spaced_text is 'The words of a text that have something between them.';

create function gateway.letter_pairs(p_text text, p_is_asked boolean) returns text[]
language sql immutable
as $$
    select coalesce(array_agg(distinct part.letters), '{}')
      from regexp_matches(p_text, '[' || gateway.unspaced_letters() || ']+', 'g') as run (letters),
           lateral (select letter, letter || lead(letter) over (order by number) as pair
                      from string_to_table(run.letters[1], null) with ordinality as each (letter, number)) as neighbours,
           lateral (values (pair), (case when not p_is_asked or length(run.letters[1]) = 1 then letter end)) as part (letters)
     where part.letters is not null
$$;
comment on function gateway.letter_pairs is
    'What is written without spaces, as pairs of letters that stand together; and letters alone in a text, and where only one is asked for.';

create function gateway.name_parts(p_text text) returns text[]
language sql immutable
as $$
    select coalesce(array_agg(distinct part), '{}')
      from ts_parse('default', p_text) as piece,
           lateral (select regexp_split_to_table(piece.token, '[^[:alnum:]._-]+')
                    union all select regexp_split_to_table(piece.token, '[^[:alnum:]]+')) as parts (cut),
           lateral lower(trim(parts.cut, '._-')) as part
     -- E-mail address, URL, host, tag, the path of a URL, file.
     where piece.tokid in (4, 5, 6, 13, 18, 19) and length(part) between 1 and 200
$$;
comment on function gateway.name_parts is 'The words in addresses, paths and tags, that the parser takes as one or leaves out: main.py, main and py of src/main.py.';

create function gateway.words_of(p_text text) returns tsvector
language sql immutable
as $$
    select to_tsvector('pg_catalog.simple', gateway.spaced_text(p_text))
        || array_to_tsvector(gateway.name_parts(p_text)) || array_to_tsvector(gateway.letter_pairs(p_text, false))
$$;

create function gateway.search_vector(p_account_id bigint, p_message jsonb) returns tsvector
language plpgsql immutable
as $$
declare
    v_text  text := coalesce(gateway.message_text(p_message), '');
    v_owner tsvector := array_to_tsvector(array[gateway.account_lexeme(p_account_id)]);
begin
    return v_owner || gateway.words_of(v_text);
exception when program_limit_exceeded then
    -- A text of nothing but words that it has once. So much of it fits, however they are chosen.
    return v_owner || gateway.words_of(left(v_text, 65536));
end $$;
comment on function gateway.search_vector is
    'What a message is found by: its words, and whose it is, so that the index of all accounts'' words meets one account''s first.';

create function gateway.search_terms(p_query text) returns table (number bigint, is_not boolean, is_phrase boolean, said text)
language sql immutable
as $$
    select found.number, found.part[1] = '-', found.part[2] is not null, coalesce(found.part[2], found.part[3])
      from regexp_matches(p_query, '(-?)(?:"([^"]*)"?|([^\s"]+))', 'g') with ordinality as found (part, number)
$$;
comment on function gateway.search_terms is 'A query taken apart: "a phrase", a word, -not.';

create function gateway.all_of(p_words text[]) returns tsquery
language sql immutable
as $$ select coalesce(string_agg(quote_literal(word), ' & '), '')::tsquery from unnest(p_words) as word $$;

create function gateway.term_query(p_said text, p_is_phrase boolean) returns tsquery
language plpgsql immutable
as $$
declare
    v_spaced text := gateway.spaced_text(p_said);
    v_query  tsquery := phraseto_tsquery('pg_catalog.simple', v_spaced);
begin
    if not p_is_phrase then
        -- As gateway.name_parts has it of a longer name: docs/api in https://example.com/docs/api?page=1.
        v_query := v_query || gateway.all_of(array(
            select part from regexp_split_to_table(v_spaced, '[^[:alnum:]._-]+') as cut, lateral lower(trim(cut, '._-')) as part where part <> ''));
    end if;
    return v_query && gateway.all_of(gateway.letter_pairs(p_said, true));
end $$;

create function gateway.search_query(p_query text) returns tsquery
language plpgsql immutable
as $$
declare
    v_term  record;
    v_word  tsquery;
    v_all   tsquery := ''::tsquery;
    v_query tsquery := ''::tsquery;
begin
    for v_term in select * from gateway.search_terms(p_query) order by number loop
        if lower(v_term.said) = 'or' and not v_term.is_phrase and not v_term.is_not then
            v_query := v_query || v_all;
            v_all := ''::tsquery;
            continue;
        end if;
        v_word := gateway.term_query(v_term.said, v_term.is_phrase);
        v_all := v_all && case when v_term.is_not then !!v_word else v_word end;
    end loop;
    return v_query || v_all;
end $$;
comment on function gateway.search_query is 'A query as the index has words: all of them, those on either side of an `or`, none with a minus.';

create function gateway.snippet(p_text text, p_query text) returns text
language plpgsql immutable
as $$
declare
    v_words text;
    v_place int;
    v_shown text;
begin
    if length(p_text) <= 200 then
        return p_text;
    end if;
    -- Whatever is no letter is itself behind a backslash; what stands between the words of a phrase is not asked for.
    select string_agg(regexp_replace(regexp_replace(said, '([^[:alnum:]\s])', '\\\1', 'g'), '\s+', '[^[:alnum:]]+', 'g'), '|') into v_words
      from gateway.search_terms(p_query) where not is_not and said ~ '[[:alnum:]]' and (is_phrase or lower(said) <> 'or');
    v_place := coalesce(nullif(regexp_instr(p_text, '\m(?:' || v_words || ')\M', 1, 1, 0, 'i'), 0),
                        nullif(regexp_instr(p_text, v_words, 1, 1, 0, 'i'), 0), 1);
    v_place := greatest(v_place - 80, 1);
    v_shown := substr(p_text, v_place, 240);
    return case when v_place > 1 then '… ' || regexp_replace(v_shown, '^\S{0,20}\s+', '') else v_shown end;
end $$;
