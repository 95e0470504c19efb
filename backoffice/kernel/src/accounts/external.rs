//! The seam for single sign-on: somebody whom an outside issuer vouches for. Who checks the issuer's
//! signature stands in front of this; here it is decided whose person that is. An identity that was
//! never linked is nobody's, whatever address it shows, unless an organization of that person trusts
//! the issuer; then its sessions enter only such organizations.

use std::net::IpAddr;

use uuid::Uuid;

use super::sessions::{self, Opened};
use crate::error::{Code, Error, Result};
use crate::service::Service;

/// What a checked assertion says.
pub struct External<'a> {
    /// Issuer identifier, compared as text (OpenID Connect Core 1.0, 2: `iss`).
    pub issuer: &'a str,
    /// The person's name at the issuer, never reused there (`sub`).
    pub subject: &'a str,
    /// Address that the issuer says it has verified; `None` for one that it has not.
    pub verified_email: Option<&'a str>,
    pub address: IpAddr,
    pub user_agent: &'a str,
}

/// Opens a session for the person behind the identity; the session's text is answered once.
pub async fn sign_in_external(service: &Service, with: External<'_>) -> Result<Opened> {
    if with.issuer.is_empty() || with.subject.is_empty() {
        return Err(refused());
    }
    let client = service.app_client().await?;
    let sql = "select user_id, by_person from identity_find($1, $2)";
    let rows =
        client.query(&client.prepare_cached(sql).await?, &[&with.issuer, &with.subject]).await?;
    drop(client);
    let (user, by_person) = match rows.first() {
        Some(row) => (row.try_get("user_id")?, row.try_get("by_person")?),
        None => (adopt(service, &with).await?, false),
    };
    // Linked by the person: as good as their password. By an organization's trust: good there.
    let issuer = if by_person { None } else { Some(with.issuer) };
    sessions::open(service, user, with.user_agent, issuer).await
}

/// Links the identity to the person with the verified address, when one of the organizations that
/// they belong to trusts the issuer.
async fn adopt(service: &Service, with: &External<'_>) -> Result<Uuid> {
    let email = with.verified_email.ok_or_else(refused)?;
    let client = service.app_client().await?;
    let sql = "select identity_adopt($1, $2, $3, $4)";
    let statement = client.prepare_cached(sql).await?;
    let id = service.new_id();
    let row = client.query_one(&statement, &[&id, &with.issuer, &with.subject, &email]).await?;
    row.try_get::<_, Option<Uuid>>(0)?.ok_or_else(refused)
}

/// One answer, whether the identity is unknown, the person shut out, or the issuer not trusted.
fn refused() -> Error {
    Error::new(Code::InvalidCredentials, "nobody signs in with this identity")
}

/// Links an identity to a signed-in person, who asked for it. One that is another's is 409.
pub async fn link_identity(
    service: &Service,
    user: Uuid,
    issuer: &str,
    subject: &str,
) -> Result<()> {
    let client = service.app_client().await?;
    let statement = client.prepare_cached("select identity_link($1, $2, $3, $4)").await?;
    let id = service.new_id();
    let row = client.query_one(&statement, &[&id, &user, &issuer, &subject]).await?;
    match row.try_get::<_, bool>(0)? {
        true => Ok(()),
        false => Err(Error::new(Code::AlreadyExists, "the identity is another person's")),
    }
}

/// Takes the link away and ends the sessions that were opened by the issuer's word.
pub async fn unlink_identity(
    service: &Service,
    user: Uuid,
    issuer: &str,
    subject: &str,
) -> Result<()> {
    let client = service.app_client().await?;
    let statement = client.prepare_cached("select identity_unlink($1, $2, $3, $4)").await?;
    let row = client.query_one(&statement, &[&user, &issuer, &subject, &service.now()]).await?;
    if row.try_get::<_, bool>(0)? { Ok(()) } else { Err(Error::not_found("identity")) }
}

/// Lets an organization trust an issuer, or nobody with `None`: a decision of the operators, who
/// know whose addresses the issuer may vouch for.
pub async fn operator_trust_issuer(
    service: &Service,
    organization: Uuid,
    issuer: Option<&str>,
) -> Result<()> {
    super::people::operate(service, organization, "select organization_trust($1)", &issuer).await
}
