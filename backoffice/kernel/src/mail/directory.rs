//! Mail as files in a directory: for development, tests, and houses whose own program takes them
//! from there.

use std::path::{Path, PathBuf};

use tokio::io::AsyncWriteExt as _;
use uuid::Uuid;

use super::{Mail, Mailer};
use crate::action::BoxFuture;
use crate::error::{Error, Result};

/// Owner may read and write: mail holds secrets.
const FILE_MODE: u32 = 0o600;

pub struct Directory(PathBuf);

impl Directory {
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Written beside and renamed, so that a reader meets whole mails only; a second attempt takes
    /// the first one's place.
    async fn write(&self, id: Uuid, message: &str) -> std::io::Result<()> {
        tokio::fs::create_dir_all(&self.0).await?;
        let beside = self.0.join(format!("{}.part", id));
        let mut options = tokio::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(FILE_MODE);
        let mut file = options.open(&beside).await?;
        file.write_all(message.as_bytes()).await?;
        file.sync_all().await?;
        tokio::fs::rename(&beside, self.0.join(format!("{}.eml", id))).await
    }
}

impl Mailer for Directory {
    fn send<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let message = mail.message()?;
            let written = self.write(mail.id, &message).await;
            written.map_err(|cause| Error::internal(format!("{}: {cause}", self.0.display())))
        })
    }
}
