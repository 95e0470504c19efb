//! A fresh organization for each test: tenancy is tested by every one of them.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::accounts::organizations::{NewOrganization, Owner, open_organization};
use crate::accounts::tokens::{NewToken, issue_token};
use crate::cx::{Actor, Cx};
use crate::error::Result;
use crate::service::Service;
use crate::settings::Secret;

/// An organization, its owner, and a token that may everything there.
pub struct TestOrg {
    pub id: Uuid,
    pub owner: Uuid,
    pub email: String,
    pub token: Secret,
    service: Service,
}

/// Password of every owner.
pub const PASSWORD: &str = "correct horse battery staple";

impl TestOrg {
    pub async fn open(service: &Service) -> Result<Self> {
        let unique = service.new_id().simple().to_string();
        let email = format!("owner-{unique}@example.org");
        let password = Secret::new(PASSWORD);
        let new = NewOrganization {
            name: "Test organization",
            slug: &format!("test-{unique}"),
            owner: Owner::New { email: &email, name: "Test owner", password: &password },
        };
        let (id, owner) = open_organization(service, new).await?;
        let all = json!([{
            "grant": "*", "rights": ["*"], "levels": ["open", "personal", "confidential"],
        }]);
        let mut org = Self { id, owner, email, token: Secret::default(), service: service.clone() };
        org.token = org.issue(all).await?;
        Ok(org)
    }

    /// A token with these grants, made by the owner.
    pub async fn issue(&self, grants: Value) -> Result<Secret> {
        let mut cx = self.begin().await?;
        let new = NewToken { name: "Test token".to_owned(), grants, expires_at: None };
        let (_, token) = issue_token(&mut cx, self.owner, new).await?;
        cx.commit().await?;
        Ok(token)
    }

    /// A unit of work that may everything.
    pub async fn begin(&self) -> Result<Cx> {
        self.service.begin(Actor::Service("test"), self.id).await
    }

    /// Runs the organization's jobs that are due, and those that they enqueue; how many runs.
    pub async fn work(&self) -> Result<usize> {
        crate::jobs::drain(&self.service, self.id).await
    }

    /// Seals and delivers what the organization's changes left in the outbox; how many deliveries
    /// were tried.
    pub async fn hear(&self) -> Result<usize> {
        crate::outbox::settle(&self.service, self.id).await
    }
}
