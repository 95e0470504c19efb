//! One query for each kind of object: columns `on`, `name`, `definition`, all `text`; columns of a
//! table have their parts apart. Objects of extensions and of partitions are not ours.

use super::ObjectKind;

/// Ordinary and partitioned tables of the schema, without partitions.
macro_rules! tables {
    () => {
        "pg_class t join pg_namespace n on n.oid = t.relnamespace and n.nspname = 'public'"
    };
}

pub(super) const ALL: &[(ObjectKind, &str)] = &[
    (ObjectKind::Extension, EXTENSIONS),
    (ObjectKind::Sequence, SEQUENCES),
    (ObjectKind::Table, TABLES),
    (ObjectKind::Column, COLUMNS),
    (ObjectKind::Function, FUNCTIONS),
    (ObjectKind::Constraint, CONSTRAINTS),
    (ObjectKind::ForeignKey, FOREIGN_KEYS),
    (ObjectKind::Index, INDEXES),
    (ObjectKind::RowSecurity, ROW_SECURITY),
    (ObjectKind::Policy, POLICIES),
    (ObjectKind::Trigger, TRIGGERS),
    (ObjectKind::Storage, STORAGE),
    (ObjectKind::Owner, OWNERS),
    (ObjectKind::Grant, GRANTS),
    (ObjectKind::Stray, STRAYS),
];

/// The server brings plpgsql itself.
const EXTENSIONS: &str =
    "select extname::text, '', '' from pg_extension where extname <> 'plpgsql'";

/// Sequences of identity columns belong to their column (deptype `i`).
const SEQUENCES: &str = concat!(
    "select t.relname::text, '', format('as %s start %s increment %s minvalue %s maxvalue %s%s',
        s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax,
        case when s.seqcycle then ' cycle' else '' end)
     from ",
    tables!(),
    " join pg_sequence s on s.seqrelid = t.oid
     where not exists (select from pg_depend d where d.objid = t.oid and d.deptype = 'i')"
);

const TABLES: &str = concat!(
    "select t.relname::text, '', coalesce('partition by ' || pg_get_partkeydef(t.oid), '')
     from ",
    tables!(),
    " where t.relkind in ('r', 'p') and not t.relispartition"
);

const COLUMNS: &str = concat!(
    "select t.relname::text, a.attname::text,
            format_type(a.atttypid, a.atttypmod)
            || coalesce((select ' COLLATE ' || c.oid::regcollation from pg_collation c, pg_type y
                          where c.oid = a.attcollation and y.oid = a.atttypid
                            and c.oid <> y.typcollation), ''),
            a.attnotnull,
            case when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end,
            case when a.attgenerated <> '' then pg_get_expr(d.adbin, d.adrelid)
                 when a.attidentity <> '' then 'identity ' || a.attidentity::text end
     from ",
    tables!(),
    " join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
     left join pg_attrdef d on d.adrelid = t.oid and d.adnum = a.attnum
     where t.relkind in ('r', 'p') and not t.relispartition"
);

const FUNCTIONS: &str = "
    select p.oid::regprocedure::text, '', pg_get_functiondef(p.oid)
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace and n.nspname = 'public'
    where p.prokind in ('f', 'p')
        and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')";

const CONSTRAINTS: &str = concat!(
    "select t.relname::text, c.conname::text, pg_get_constraintdef(c.oid)
     from ",
    tables!(),
    " join pg_constraint c on c.conrelid = t.oid and c.contype in ('p', 'u', 'c', 'x')
     where t.relkind in ('r', 'p') and not t.relispartition"
);

const FOREIGN_KEYS: &str = concat!(
    "select t.relname::text, c.conname::text, pg_get_constraintdef(c.oid)
     from ",
    tables!(),
    " join pg_constraint c on c.conrelid = t.oid and c.contype = 'f' and c.conparentid = 0
     where t.relkind in ('r', 'p') and not t.relispartition"
);

/// Indexes behind constraints are told by the constraint.
const INDEXES: &str = concat!(
    "select t.relname::text, x.relname::text,
            pg_get_indexdef(i.indexrelid)
            || case when i.indisvalid and i.indisready then '' else ' (invalid)' end
     from ",
    tables!(),
    " join pg_index i on i.indrelid = t.oid join pg_class x on x.oid = i.indexrelid
     where t.relkind in ('r', 'p') and not t.relispartition
        and not exists (select from pg_constraint c where c.conindid = i.indexrelid
                        and c.contype in ('p', 'u', 'x'))"
);

const ROW_SECURITY: &str = concat!(
    "select t.relname::text, '',
            case when t.relforcerowsecurity then 'forced' else 'enabled' end
     from ",
    tables!(),
    " where t.relkind in ('r', 'p') and not t.relispartition and t.relrowsecurity"
);

const POLICIES: &str = "
    select tablename::text, policyname::text,
           format('as %s for %s to %s', permissive, cmd, array_to_string(roles, ', '))
           || coalesce(' using (' || qual || ')', '')
           || coalesce(' with check (' || with_check || ')', '')
    from pg_policies where schemaname = 'public'";

const TRIGGERS: &str = concat!(
    "select t.relname::text, g.tgname::text, pg_get_triggerdef(g.oid)
            || case when g.tgenabled in ('O', 'A') then '' else ' (disabled)' end
     from ",
    tables!(),
    " join pg_trigger g on g.tgrelid = t.oid and not g.tgisinternal
     where t.relkind in ('r', 'p') and not t.relispartition"
);

/// What `alter table … set (…)` says, in one order.
const STORAGE: &str = concat!(
    "select t.relname::text, '',
            (select string_agg(own, ', ' order by own) from unnest(t.reloptions) own)
     from ",
    tables!(),
    " where t.relkind in ('r', 'p') and not t.relispartition and t.reloptions is not null"
);

const OWNERS: &str = concat!(
    "select case when t.relkind = 'S' then 'sequence ' else 'table ' end || t.relname, '',
            pg_get_userbyid(t.relowner)::text
     from ",
    tables!(),
    " where t.relkind in ('r', 'p', 'S') and not t.relispartition
        and not exists (select from pg_depend d where d.objid = t.oid and d.deptype = 'i')
     union all
     select 'function ' || p.oid::regprocedure, '', pg_get_userbyid(p.proowner)::text
     from pg_proc p join pg_namespace n on n.oid = p.pronamespace and n.nspname = 'public'
     where not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')"
);

/// A missing ACL means the default one: all to the owner, and execution of functions to everyone.
/// Whatever the owner holds is left out: it follows from owning.
const GRANTS: &str = concat!(
    "with object as (
        select case when t.relkind = 'S' then 'sequence ' else 'table ' end || t.relname as name,
               coalesce(t.relacl, acldefault(case when t.relkind = 'S' then 's' else 'r' end::\"char\",
                                             t.relowner)) as acl,
               t.relowner as owner
        from ",
    tables!(),
    " where t.relkind in ('r', 'p', 'S') and not t.relispartition
            and not exists (select from pg_depend d where d.objid = t.oid and d.deptype = 'i')
        union all
        select 'function ' || p.oid::regprocedure, coalesce(p.proacl, acldefault('f', p.proowner)),
               p.proowner
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace and n.nspname = 'public'
        where not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
        union all
        select 'schema ' || n.nspname, coalesce(n.nspacl, acldefault('n', n.nspowner)), n.nspowner
        from pg_namespace n where n.nspname = 'public'
     )
     select 'table ' || t.relname, format('%s (%s) to %s', lower(a.privilege_type), c.attname,
                           case when a.grantee = 0 then 'public' else pg_get_userbyid(a.grantee) end),
            ''
     from pg_class t join pg_namespace n on n.oid = t.relnamespace and n.nspname = 'public'
     join pg_attribute c on c.attrelid = t.oid
     cross join lateral aclexplode(c.attacl) a
     where not t.relispartition and a.grantee <> t.relowner
     union all
     select o.name, format('%s to %s', lower(a.privilege_type),
                           case when a.grantee = 0 then 'public' else pg_get_userbyid(a.grantee) end),
            ''
     from object o cross join lateral aclexplode(o.acl) a
     where a.grantee <> o.owner"
);

/// What the generator never makes and what would pass by policies or grants unseen: views (which
/// read as their owner), foreign tables, types, rules, grants on partitions and their columns, default grants.
const STRAYS: &str = "
    with ours as (
        select c.*, n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'public'
            and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
    )
    select case relkind when 'v' then 'view ' when 'm' then 'materialized view '
                        else 'foreign table ' end || relname, '', ''
    from ours where relkind in ('v', 'm', 'f')
    union all
    select case y.typtype when 'e' then 'enum ' when 'd' then 'domain ' else 'type ' end || y.typname,
           '', concat_ws(' ', nullif(format_type(y.typbasetype, y.typtypmod), '-'), y.typdefault,
                         (select string_agg(e.enumlabel, ', ' order by e.enumsortorder)
                            from pg_enum e where e.enumtypid = y.oid),
                         (select string_agg(pg_get_constraintdef(c.oid), ' ' order by c.conname)
                            from pg_constraint c where c.contypid = y.oid))
    from pg_type y join pg_namespace n on n.oid = y.typnamespace and n.nspname = 'public'
    left join pg_class r on r.oid = y.typrelid
    where (y.typtype in ('e', 'd', 'r') or r.relkind = 'c')
        and not exists (select from pg_depend d where d.objid = y.oid and d.deptype = 'e')
    union all
    select 'rule ' || r.rulename, t.relname, ''
    from ours t join pg_rewrite r on r.ev_class = t.oid where r.rulename <> '_RETURN'
    union all
    select 'grant on column ' || t.relname || '.' || a.attname, a.attacl::text, ''
    from ours t join pg_attribute a on a.attrelid = t.oid
    where a.attacl is not null and t.relispartition
    union all
    select 'grant on partition ' || t.relname, t.relacl::text, ''
    from ours t where t.relispartition and t.relkind in ('r', 'p')
        and exists (select from aclexplode(t.relacl) a where a.grantee <> t.relowner)
    union all
    select 'default grant ' || d.defaclobjtype::text, d.defaclacl::text, '' from pg_default_acl d";
