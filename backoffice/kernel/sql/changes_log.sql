context as materialized (
            select *, change_head_tail(actor_kind, actor_id, request_id, now()) as tail from (
            select coalesce(nullif(current_setting('app.actor_kind', true), ''), 'system') as actor_kind,
                   nullif(current_setting('app.actor_id', true), '') as actor_id,
                   nullif(current_setting('app.request_id', true), '')::uuid as request_id,
                   nullif(current_setting('app.reason', true), '') as reason,
                   coalesce(nullif(current_setting('app.causation', true), ''), '0')::bigint as causation,
                   -- Automation leaves such changes alone: an import said so.
                   case when current_setting('app.quiet', true) = 'on' then '{"quiet": true}'::jsonb else '{}' end as mark) as context
        ), proved as materialized (
            select entry.*, context.*, change_values_digest(salt, before, after, reason) as values_digest
              from context cross join (
                select entry.*, uuid7_at(microseconds) as id, uuid_send(gen_random_uuid()) as salt
                  from (select entry.*, (date_part('epoch', clock_timestamp()) * 1000000)::bigint as microseconds
                          from entry offset 0) as entry offset 0) as entry
        ), logged as (
            insert into changes (org_id, id, table_name, row_id, op, version, before, after, actor_kind, actor_id,
                                 request_id, reason, at, salt, values_digest, digest)
            select org_id, id, table_name, row_id, op, version, before, after, actor_kind, actor_id,
                   request_id, reason, now(), salt, values_digest,
                   change_head_digest(org_id, id, table_name, row_id, op, version, tail, values_digest)
              from proved
        )
        insert into outbox (org_id, topic, row_id, change_id, causation, body)
        select org_id, table_name || '.' || op, row_id, id, causation,
               jsonb_build_object('version', version, 'fields', fields) || mark
          from proved
