//! Keys at rest: the master key, the data keys of orders. Knows no table.

use inventory::log::DataKey;
use kernel::error::{Code, Error, Result};
use kernel::service::Service;
use keys::MasterKey;
use uuid::Uuid;

pub(crate) fn master(service: &Service) -> Result<MasterKey> {
    let key = service.settings().master_key.as_ref().ok_or_else(|| {
        Error::new(Code::Unavailable, "keys cannot be opened here")
            .with_context("ATLVS_MASTER_KEY is not set")
    })?;
    Ok(MasterKey::from_bytes(key.0))
}

pub(crate) fn seal_data_key(
    master: &MasterKey,
    event: Uuid,
    order: Uuid,
    key: &DataKey,
) -> Result<Vec<u8>> {
    master
        .seal(&aad(event, order), &key.0)
        .map_err(|cause| Error::internal(format!("a data key was not sealed: {cause}")))
}

pub(crate) fn open_data_key(
    master: &MasterKey,
    event: Uuid,
    order: Uuid,
    sealed: &[u8],
) -> Result<DataKey> {
    let opened = master
        .open(&aad(event, order), sealed)
        .map_err(|cause| Error::internal(format!("data key of order {order}: {cause}")))?;
    <[u8; 32]>::try_from(opened.as_slice())
        .map(DataKey)
        .map_err(|_| Error::internal(format!("data key of order {order} has another length")))
}

/// A sealed key belongs to one order of one event.
fn aad(event: Uuid, order: Uuid) -> Vec<u8> {
    [event.as_bytes().as_slice(), order.as_bytes()].concat()
}
