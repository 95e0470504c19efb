//! Nobody gives what they do not have: whether rights hold everything that lines would give, on
//! entities, actions and fields that there are and on those that will be.

use super::grant::Named;
use super::{Grant, Rights};
use crate::entity::Level;

/// Stands for every name that a pattern takes: no grant, right or field is called so.
const ANY: &str = "\u{0}";

impl Rights {
    /// A pattern is held only by a pattern at least as wide: what it will name one day counts, too.
    pub fn cover(&self, grants: &[Grant]) -> bool {
        grants.iter().all(|line| {
            let grant = match line.grant.strip_suffix('*') {
                Some(prefix) => format!("{prefix}{ANY}"),
                None => line.grant.clone(),
            };
            // What is given for every right is given for reading, where fixed fields are shown.
            let every = line.rights.iter().any(|right| right == "*");
            let rights = line.rights.iter().map(|right| if right == "*" { ANY } else { right });
            rights.chain(every.then_some("read")).all(|right| self.holds(line, &grant, right))
        })
    }

    fn holds(&self, line: &Grant, grant: &str, right: &str) -> bool {
        self.reach(grant, right).is_some_and(|held| line.reach <= held)
            && self.holds_fields(line, grant, right)
            && (right != "read" || line.logged || self.reads_untold(grant))
    }

    fn holds_fields(&self, line: &Grant, grant: &str, right: &str) -> bool {
        let lines = || self.layers.iter().flatten();
        let names = lines().flat_map(|line| line.hidden.iter().chain(&line.fixed));
        let names: Vec<&str> = names.map(String::as_str).chain([ANY]).collect();
        let fields = Level::ALL
            .iter()
            .flat_map(|level| names.iter().map(|name| Named { name, level: *level }));
        fields.into_iter().all(|field| {
            let given = line.gives(right, &field);
            let held = || self.narrowest(|held| held.reaches_field(grant, right, &field));
            !given || held().is_some_and(|held| line.reach <= held)
        })
    }

    /// Whether some line of every layer gives reading without telling it.
    fn reads_untold(&self, grant: &str) -> bool {
        let untold = |line: &Grant| {
            if line.logged { None } else { line.reaches(grant, "read") }
        };
        self.narrowest(untold).is_some()
    }
}
