//! Keeps the change log's monthly partitions two years ahead. The first ones come with the schema;
//! a log without a partition for today would refuse every write.

use std::time::Duration;

use crate::action::Loop;
use crate::error::{Error, Result};
use crate::service::{Service, Shutdown};

/// Two years ahead leaves this check hundreds of chances to succeed.
const PAUSE: Duration = Duration::from_secs(24 * 3600);

pub(crate) const KEEP: Loop =
    Loop { name: "partitions", run: |service, shutdown| Box::pin(keep(service, shutdown)) };

async fn keep(service: Service, shutdown: Shutdown) -> Result<()> {
    loop {
        let work = service.work().await?;
        let row = work.query_one("select make_change_partitions()", &[]).await?;
        let made: i32 = row
            .try_get(0)
            .map_err(|cause| Error::internal(format!("no number of partitions: {cause}")))?;
        work.commit().await?;
        if made > 0 {
            tracing::info!(made, "partitions of the change log made");
        }
        if !shutdown.pause(PAUSE).await {
            return Ok(());
        }
    }
}
