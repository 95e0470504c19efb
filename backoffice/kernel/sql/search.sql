-- Search by words: what a word is, for the columns that hold them and for what is asked. Neither
-- passes row-level security; the functions that do are generated, one for each searched column.

-- A text as its words: lower case, without accents, punctuation between words only. So `Zürich` is
-- found by `zurich`, and the parts of `ATL-2026/7` are words. Longer texts are searched up to here.
create or replace function search_fold(p_text text) returns text
language sql immutable strict parallel safe
as $$
    select pg_catalog.left(pg_catalog.translate(
        case when pg_catalog.octet_length(p_text) = pg_catalog.char_length(p_text)
             then pg_catalog.lower(p_text)
             else pg_catalog.replace(pg_catalog.translate(
                 pg_catalog.regexp_replace(pg_catalog.normalize(pg_catalog.lower(p_text), 'NFKD'),
                                           '[\u0300-\u036f]', '', 'g'),
                 'øłđıħ', 'oldih'), 'ß', 'ss') end,
        '-_./\@#:;,+*&%$!?()[]{}<>=|^~`''"', '                                   '), 20000)
$$;

-- The words of an organization's own texts, each behind the key of its field: `=house_no=7`. The sign
-- is no part of a word, so nobody's words, nor beginnings of words, ask for these unless `search_query`
-- makes them.
create or replace function search_custom(p_custom jsonb) returns tsvector
language sql immutable strict parallel safe
as $$
    select coalesce(pg_catalog.string_agg(
               pg_catalog.quote_literal('=' || own.key || '=' || word.lexeme) || ':'
               || pg_catalog.array_to_string(word.positions, ','), ' '), '')::pg_catalog.tsvector
      from pg_catalog.jsonb_each(p_custom) own
     cross join lateral pg_catalog.unnest(
               pg_catalog.to_tsvector('pg_catalog.simple'::pg_catalog.regconfig,
                                      public.search_fold(own.value #>> '{}'))) word
     where pg_catalog.jsonb_typeof(own.value) = 'string'
$$;

-- What the caller's words ask for: all words, the last one as a beginning; `"a phrase"` as it stands;
-- `-word` not. Any text is a query, and none of its words is passed over (a list bounds its characters);
-- one without words is null. Each is looked for in the entity's own
-- words and in those of these fields of the organization's.
create or replace function search_query(p_words text, p_keys text[]) returns tsquery
language plpgsql immutable parallel safe
set search_path = pg_catalog, public
as $$
declare
    v_query tsquery;
    v_one tsquery;
    v_plain text;
    v_key text;
    r record;
begin
    for r in
        select m[1] = '-' as negated, m[2] is null as plain, coalesce(m[2], m[3]) as term,
               n = count(*) over () as last
          from (select m, n from regexp_matches(p_words, '(-?)(?:"([^"]*)"|([^\s"]+))', 'g')
                               with ordinality as found (m, n)) terms
         order by n
    loop
        v_one := phraseto_tsquery('simple', search_fold(r.term));
        continue when numnode(v_one) = 0;
        if r.last and r.plain and not r.negated then
            v_one := (v_one::text || ':*')::tsquery;
        end if;
        v_plain := v_one::text;
        foreach v_key in array p_keys loop
            v_one := v_one || regexp_replace(v_plain, '''([^'']+)''', '''=' || v_key || '=\1''', 'g')::tsquery;
        end loop;
        if r.negated then
            v_one := !! v_one;
        end if;
        v_query := coalesce(v_query && v_one, v_one);
    end loop;
    return v_query;
end
$$;
