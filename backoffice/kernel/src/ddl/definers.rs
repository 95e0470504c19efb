//! The one list of functions that pass row-level security. Each sets its search_path and takes the
//! organization from the transaction's setting or from the row it found, never as an argument;
//! a test compares this list with the catalogue.

use crate::registry::Registry;

pub struct Definer {
    pub name: &'static str,
    /// Roles that may call it; empty for trigger functions.
    pub callers: &'static [&'static str],
    /// Why it has to pass row-level security.
    pub why: &'static str,
}

const APP: &[&str] = &["atlvs_app"];
const WORK: &[&str] = &["atlvs_work"];
/// For commands of the operators: no process that answers requests has this role.
const OPERATORS: &[&str] = &["atlvs_migrate"];

pub const DEFINERS: &[Definer] = &[
    Definer {
        name: "record_changes",
        callers: &[],
        why: "writes the change log, where no product role may insert",
    },
    Definer {
        name: "erase_changes",
        callers: APP,
        why: "takes a person's values out of the log of the active organization",
    },
    Definer {
        name: "erase_traces",
        callers: APP,
        why: "takes a person out of machine tables of the active organization, which app may not read",
    },
    Definer {
        name: "erase_accounts",
        callers: APP,
        why: "ends accounts of former members of the active organization that no other one has",
    },
    Definer {
        name: "make_change_partitions",
        callers: WORK,
        why: "owns the partitioned log and makes tables",
    },
    Definer {
        name: "account_for_sign_in",
        callers: APP,
        why: "reads the person behind an address before anyone is signed in",
    },
    Definer {
        name: "account_session_open",
        callers: APP,
        why: "writes a session, which belongs to no organization",
    },
    Definer {
        name: "account_session",
        callers: APP,
        why: "finds person and memberships behind a session's hash",
    },
    Definer {
        name: "account_token",
        callers: APP,
        why: "finds maker and roles behind a token's hash",
    },
    Definer {
        name: "account_digest",
        callers: APP,
        why: "finds what a session or token gives behind its hash, as a digest",
    },
    Definer { name: "account_sessions", callers: APP, why: "lists a person's own sessions" },
    Definer { name: "account_session_revoke", callers: APP, why: "ends a person's own session" },
    Definer {
        name: "organization_open",
        callers: APP,
        why: "makes the row of the active organization",
    },
    Definer {
        name: "organization_by_slug",
        callers: APP,
        why: "finds an organization before one is active",
    },
    Definer {
        name: "account_end_sessions",
        callers: APP,
        why: "ends sessions, which belong to no organization",
    },
    Definer {
        name: "account_prove",
        callers: APP,
        why: "finds or makes a person, who belongs to no organization",
    },
    Definer {
        name: "invitation_open",
        callers: APP,
        why: "finds an invitation before an organization is active",
    },
    Definer {
        name: "organization_name",
        callers: APP,
        why: "reads the row of the active organization",
    },
    Definer {
        name: "organization_members",
        callers: APP,
        why: "names the people of the active organization",
    },
    Definer {
        name: "is_member",
        callers: APP,
        why: "tells whether a person belongs to the active organization",
    },
    Definer {
        name: "account_reset_open",
        callers: APP,
        why: "finds a person by address before anyone is signed in",
    },
    Definer {
        name: "account_proof_is_open",
        callers: APP,
        why: "looks at a mailed secret before anyone is signed in",
    },
    Definer { name: "account_reset_use", callers: APP, why: "sets a password by a mailed secret" },
    Definer {
        name: "account_password_of",
        callers: APP,
        why: "reads what a signed-in person's password is compared with",
    },
    Definer {
        name: "account_password_set",
        callers: APP,
        why: "sets a signed-in person's password",
    },
    Definer {
        name: "account_email_open",
        callers: APP,
        why: "notes the address that a person wants",
    },
    Definer {
        name: "account_email_use",
        callers: APP,
        why: "gives a person the address they proved",
    },
    Definer {
        name: "account_operator_password",
        callers: OPERATORS,
        why: "sets a password from the command line",
    },
    Definer {
        name: "account_operator_disable",
        callers: OPERATORS,
        why: "shuts a person out from the command line",
    },
    Definer {
        name: "account_operator_enable",
        callers: OPERATORS,
        why: "lets a person in again from the command line",
    },
    Definer { name: "account_keys", callers: APP, why: "lists what a person holds everywhere" },
    Definer {
        name: "account_key_revoke",
        callers: APP,
        why: "takes back what a person holds, wherever it is good",
    },
    Definer { name: "account_device", callers: APP, why: "finds a device behind its token's hash" },
    Definer {
        name: "identity_find",
        callers: APP,
        why: "finds the person behind an identity before anyone is signed in",
    },
    Definer {
        name: "identity_adopt",
        callers: APP,
        why: "links an identity, which belongs to no organization",
    },
    Definer {
        name: "identity_link",
        callers: APP,
        why: "links an identity, which belongs to no organization",
    },
    Definer {
        name: "identity_unlink",
        callers: APP,
        why: "unlinks an identity, which belongs to no organization",
    },
    Definer {
        name: "organization_trust",
        callers: OPERATORS,
        why: "sets the active organization's issuer from the command line",
    },
    Definer {
        name: "portal_link",
        callers: APP,
        why: "finds a mailed way into a portal before an organization is active",
    },
    Definer {
        name: "account_portal",
        callers: APP,
        why: "finds the portal account behind a session's hash",
    },
    Definer {
        name: "account_link",
        callers: APP,
        why: "finds what a link allows before an organization is active",
    },
    Definer {
        name: "organization_set_plan",
        callers: OPERATORS,
        why: "sets the active organization's plan from the command line",
    },
    Definer {
        name: "idempotency_claim",
        callers: APP,
        why: "takes a key in a machine table, which requests do not read",
    },
    Definer {
        name: "idempotency_keep",
        callers: APP,
        why: "keeps an answer in a machine table, which requests do not write",
    },
    Definer {
        name: "account_names",
        callers: APP,
        why: "names who acts in the active organization; people stand on global tables",
    },
    Definer {
        name: "next_event_number",
        callers: APP,
        why: "draws from the one sequence of all organizations",
    },
    Definer {
        name: "enqueue_job",
        callers: APP,
        why: "looks for the unfinished job with the same key, which app may not read",
    },
    Definer {
        name: "held",
        callers: &["atlvs_app", "atlvs_work"],
        why: "reads where the database lives, in the one row of a machine table",
    },
    Definer {
        name: "settle_here",
        callers: OPERATORS,
        why: "writes where the database lives when its schema is made",
    },
    Definer {
        name: "due_schedules",
        callers: WORK,
        why: "finds what is due of all organizations; workers read no tenant table",
    },
    Definer {
        name: "plan_schedule",
        callers: APP,
        why: "sets when a schedule of the active organization comes next and as whom",
    },
    Definer {
        name: "run_schedule",
        callers: APP,
        why: "puts a schedule's job on the queue as whoever wrote the schedule",
    },
    Definer { name: "tell_schedule", callers: &[], why: "tells a schedule how its job ended" },
    Definer {
        name: "hold_job",
        callers: APP,
        why: "locks the queue's row for the transaction of its job",
    },
    Definer {
        name: "finish_job",
        callers: APP,
        why: "ends a job in the transaction of its effects",
    },
    Definer {
        name: "end_job",
        callers: APP,
        why: "ends a job in the transaction in which somebody is told",
    },
    Definer {
        name: "cancel_job",
        callers: APP,
        why: "takes a job of the active organization off the queue",
    },
    Definer {
        name: "cancel_job_by_key",
        callers: APP,
        why: "finds the unfinished job with a key of the active organization",
    },
    Definer {
        name: "replay_jobs",
        callers: APP,
        why: "puts ended jobs of the active organization back on the queue",
    },
    Definer {
        name: "delivered",
        callers: APP,
        why: "ends deliveries in the transaction of their effects",
    },
    Definer {
        name: "seal_changes",
        callers: WORK,
        why: "reads digests of the change log for its chain of seals",
    },
    Definer {
        name: "job_actor",
        callers: APP,
        why: "finds what whoever enqueued a job may do now",
    },
];

/// A function of this house that passes row-level security.
pub struct Function {
    pub name: String,
    pub callers: &'static [&'static str],
    pub why: &'static str,
}

/// The listed functions that the registry's files define, and the generated ones.
pub fn of(registry: &Registry) -> Vec<Function> {
    let domains = registry.domains().iter().flat_map(|domain| domain.sql).map(|(_, sql)| *sql);
    let files: Vec<&str> = [super::BASE, super::CHANGES].into_iter().chain(domains).collect();
    let defined = |definer: &&Definer| {
        let head = format!("function {}(", definer.name);
        files.iter().any(|sql| sql.contains(&head))
    };
    let listed = DEFINERS.iter().filter(defined).map(|definer| Function {
        name: definer.name.to_owned(),
        callers: definer.callers,
        why: definer.why,
    });
    let searches = super::search::function_names(registry).into_iter().map(|name| Function {
        name,
        callers: APP,
        why: "reads an index whose operator may not run before the policy",
    });
    let sweeps = super::sweep::function_names(registry).into_iter().map(|name| Function {
        name,
        callers: WORK,
        why: "removes what is past its time, of all organizations",
    });
    listed.chain(searches).chain(sweeps).collect()
}

/// Ownership and execution rights.
pub(super) fn sql(registry: &Registry) -> String {
    let mut out = String::new();
    for Function { name, callers, why } in of(registry) {
        super::put(
            &mut out,
            format_args!(
                "-- {name} {why}\nalter function {name} owner to atlvs_definer;\n\
                 revoke execute on function {name} from public;\n"
            ),
        );
        if !callers.is_empty() {
            let callers = callers.join(", ");
            super::put(&mut out, format_args!("grant execute on function {name} to {callers};\n"));
        }
    }
    out
}
