//! The API's description, ready to be sent: as JSON for tools and as pages for people, both from the
//! same document, made when it is first asked for. Knows no HTTP framework.

mod html;
mod pages;
mod tables;

use std::sync::OnceLock;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::openapi;
use crate::registry::Registry;

/// Characters of a search that are looked at; the rest is ignored.
pub(crate) const QUERY_CHARS_MAX: usize = 100;

pub(crate) struct Reference {
    registry: &'static Registry,
    made: OnceLock<Made>,
}

struct Made {
    document: Value,
    json: Vec<u8>,
    index: Vec<u8>,
    /// Digest of the document: with the style, all that the pages are made of.
    tag: String,
}

impl Reference {
    /// Nothing is made before it is asked for, so that starting costs nothing.
    pub(crate) fn new(registry: &'static Registry) -> Self {
        Self { registry, made: OnceLock::new() }
    }

    /// The document, as JSON.
    pub(crate) fn json(&self) -> &[u8] {
        &self.made().json
    }

    /// Version of everything here.
    pub(crate) fn tag(&self) -> &str {
        &self.made().tag
    }

    /// The first page.
    pub(crate) fn index(&self) -> &[u8] {
        &self.made().index
    }

    /// Operations that a word of `query` is in.
    pub(crate) fn found(&self, query: &str) -> Vec<u8> {
        let query: String = query.chars().take(QUERY_CHARS_MAX).collect();
        pages::index(&self.made().document, &query).into_bytes()
    }

    /// Operations whose path begins with this segment.
    pub(crate) fn resource(&self, name: &str) -> Option<Vec<u8>> {
        pages::resource(&self.made().document, name).map(String::into_bytes)
    }

    fn made(&self) -> &Made {
        self.made.get_or_init(|| {
            let document = openapi::document(self.registry);
            let json = document.to_string().into_bytes();
            let index = pages::index(&document, "").into_bytes();
            let mut digest = Sha256::new();
            digest.update(&json);
            digest.update(html::STYLE);
            let tag =
                data_encoding::HEXLOWER.encode(digest.finalize().get(..8).unwrap_or_default());
            Made { document, json, index, tag }
        })
    }
}

/// The pages have no script and one style, named by its digest (CSP level 3).
pub(crate) fn content_security_policy() -> String {
    let digest = data_encoding::BASE64.encode(&Sha256::digest(html::STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    )
}

#[cfg(test)]
mod tests;
