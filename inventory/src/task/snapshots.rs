//! A state from the log and a snapshot to the log. Knows no queue and no commands.

use uuid::Uuid;

use crate::entry::Head;
use crate::log::{ENTRIES_PER_READ_MAX, Log, LogError, SharedLog, Snapshot};
use crate::node::Node;
use crate::state::{ApplyError, State};

/// Another reader may trim the log behind a newer snapshot while this one reads.
const LOAD_ATTEMPTS_MAX: usize = 3;

/// A node at the log's end: newest snapshot, then the entries after it, which it can give back.
pub(super) async fn load(log: &dyn Log, event: Uuid) -> Result<Node, LogError> {
    let mut last = None;
    for _ in 0..LOAD_ATTEMPTS_MAX {
        let mut node = Node::new(start(log, event).await?);
        match replay_tail(log, event, &mut node).await? {
            Ok(()) => return Ok(node),
            Err(error) => last = Some(error),
        }
    }
    let error = last.map_or_else(String::new, |error| error.to_string());
    Err(LogError::Damaged(format!("event {event}: {error}")))
}

async fn start(log: &dyn Log, event: Uuid) -> Result<State, LogError> {
    let Some(snapshot) = log.load_snapshot(event).await? else { return Ok(State::new(event)) };
    match State::from_bytes(event, &snapshot.bytes) {
        Ok(state) if state.head() == snapshot.head => Ok(state),
        Ok(_) => Err(LogError::Damaged(format!("event {event}: the snapshot is of another head"))),
        Err(error) => {
            // Its journal may still reach back to the first entry; if not, the replay says so.
            tracing::warn!(%event, %error, "a snapshot was set aside");
            Ok(State::new(event))
        }
    }
}

async fn replay_tail(
    log: &dyn Log,
    event: Uuid,
    node: &mut Node,
) -> Result<Result<(), ApplyError>, LogError> {
    loop {
        let entries = log.read(event, node.durable().seq, ENTRIES_PER_READ_MAX).await?;
        if entries.is_empty() {
            return Ok(Ok(()));
        }
        if let Err(error) = node.catch_up(&entries) {
            return Ok(Err(error));
        }
    }
}

/// Takes a snapshot from the log alone, so that the event's task goes on deciding meanwhile.
pub(super) async fn take(log: SharedLog, event: Uuid) -> Result<Head, LogError> {
    let node = load(log.as_ref(), event).await?;
    let head = node.durable();
    let encoded = tokio::task::spawn_blocking(move || node.state().to_bytes()).await;
    let encoded = encoded.map_err(|error| LogError::Refused(error.to_string()))?;
    let bytes = encoded.map_err(|error| LogError::Refused(error.to_string()))?;
    log.save_snapshot(event, &Snapshot { head, bytes }).await?;
    Ok(head)
}

/// Saves a state that is durable and not needed any more.
pub(super) async fn save(log: &dyn Log, state: &State) -> Result<(), LogError> {
    let bytes = state.to_bytes().map_err(|error| LogError::Refused(error.to_string()))?;
    log.save_snapshot(state.event(), &Snapshot { head: state.head(), bytes }).await
}
