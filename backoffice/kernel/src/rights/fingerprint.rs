//! Whether somebody may the same as before: a digest of all that rights say.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Rights;
use crate::cx::Actor;

/// Equal digests mean equal rights: roles' lines, whose rows they mean, units, plan. Those that no
/// role speaks of have one of their kind.
pub(crate) fn fingerprint(actor: &Actor) -> Vec<u8> {
    let mut digest = Sha256::new();
    let mut part = |bytes: &[u8]| {
        digest.update(bytes.len().to_be_bytes());
        digest.update(bytes);
    };
    part(actor.kind().as_bytes());
    if let Some(rights) = actor.rights() {
        let Rights { layers, person, registry: _, plan } = rights.as_ref();
        for layer in layers {
            let lines: Vec<Value> = layer.iter().map(super::Grant::show).collect();
            part(Value::Array(lines).to_string().as_bytes());
        }
        part(plan.name().as_bytes());
        for id in [&person.org, &person.user].into_iter().chain(&person.units) {
            part(id.as_bytes());
        }
    }
    digest.finalize().to_vec()
}
