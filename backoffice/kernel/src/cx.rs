//! The unit of work: one transaction, who acts, for which organization, and `now`. Everything that
//! a domain does to the database goes through here; nothing here knows HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::accounts::authenticate::Proof;
use crate::action::{self, Reply};
use crate::custom::Model;
use crate::db::Pooled;
use crate::engine::rules::{self, Touched};
use crate::engine::upsert::Upserted;
use crate::engine::{self, Writer};
use crate::entity::Entity;
use crate::error::{Code, Error, Result};
use crate::installation;
use crate::page;
use crate::registry::Registry;
use crate::rights::{self, Access};
use crate::service::Service;
use crate::tx::TxSettings;
use crate::validate;

pub use crate::actor::Actor;
pub use crate::engine::many::Patch;
pub use crate::engine::standing::Named;
pub use crate::tx::{Mode, Tx};

/// With what a unit of work begins.
pub(crate) struct Begin {
    pub(crate) actor: Actor,
    pub(crate) org: Uuid,
    pub(crate) request_id: Uuid,
    pub(crate) mode: Mode,
    /// See [`Cx::causation`].
    pub(crate) causation: u8,
    /// What has to hold before anything that is read may be told: of an actor that was proved before.
    pub(crate) proof: Option<Proof>,
}

/// Actions may call actions; a chain longer than this is a fault of the descriptors.
const CALL_DEPTH_MAX: u8 = 8;

/// Statements run by the methods of [`Tx`], which it stands for.
pub struct Cx {
    pub actor: Actor,
    pub org: Uuid,
    pub now: Timestamp,
    pub request_id: Uuid,
    /// How many links of the outbox led here: 0 for a caller's request.
    pub causation: u8,
    service: Service,
    tx: Tx,
    depth: u8,
    /// What rules of the end have to look at.
    pub(crate) touched: Touched,
    /// Each part stands for itself: what must hold at the end holds at the end of each.
    parts_stand: bool,
    /// Custom fields by table, as this unit of work has read them.
    custom: Mutex<BTreeMap<&'static str, Arc<Model>>>,
    trial: bool,
}

impl Deref for Cx {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.tx
    }
}

impl Cx {
    pub(crate) fn new(service: Service, client: Pooled, begin: Begin) -> Self {
        let Begin { actor, org, request_id, mode, causation, proof } = begin;
        let now = service.now();
        let settings = TxSettings {
            org_id: org.to_string(),
            actor_kind: actor.kind().to_owned(),
            actor_id: actor.id_text(),
            user_id: actor.user().map(|user| user.to_string()).unwrap_or_default(),
            request_id: request_id.to_string(),
            causation: causation.to_string(),
            slow_ms: service.settings().database.slow_ms,
            portal: match &actor {
                Actor::Portal { kind, party, .. } => Some((kind.name(), party.to_string())),
                _ => None,
            },
            proof: proof.map(|proof| (proof, now)),
            demands_release: false,
        };
        let tx = Tx::new(client, service.registry(), mode, settings);
        Self {
            actor,
            org,
            now,
            request_id,
            causation,
            service,
            tx,
            depth: 0,
            touched: Touched::default(),
            parts_stand: false,
            custom: Mutex::default(),
            trial: false,
        }
    }

    pub fn service(&self) -> &Service {
        &self.service
    }

    pub fn registry(&self) -> &'static Registry {
        self.service.registry()
    }

    /// What is written from here on will be undone: no number of a series is taken for it, and
    /// nobody else's row is locked longer than a statement needs.
    pub(crate) fn suppose(&mut self) {
        self.trial = true;
    }

    pub(crate) fn is_trial(&self) -> bool {
        self.trial
    }

    pub fn new_id(&self) -> Uuid {
        crate::clock::new_id(self.now)
    }

    /// One step deeper into actions and rules that call each other.
    pub(crate) fn enter(&mut self, what: &str) -> Result<()> {
        if self.depth >= CALL_DEPTH_MAX {
            return Err(Error::internal(format!(
                "actions and rules call each other without end: {what}"
            )));
        }
        self.depth = self.depth.saturating_add(1);
        Ok(())
    }

    pub(crate) fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    pub(crate) fn custom_of(&self, entity: &Entity) -> Option<Arc<Model>> {
        self.custom.lock().unwrap_or_else(PoisonError::into_inner).get(entity.name).cloned()
    }

    pub(crate) fn keep_custom(&self, entity: &'static Entity, model: Arc<Model>) {
        self.custom.lock().unwrap_or_else(PoisonError::into_inner).insert(entity.name, model);
    }

    /// A definition was written: the next use reads again.
    pub(crate) fn forget_custom(&self) {
        self.custom.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The row under the caller's right, locked unless the right is `read`: the one way for an
    /// action to read a row that its input names. Under `read` it holds the fields that the caller
    /// may read; under another right it is whole, for the action to judge by. What the caller may
    /// not reach, a foreign tenant's row and an unknown id are the same 404.
    pub async fn load(
        &mut self,
        entity: &'static Entity,
        id: Uuid,
        right: &str,
    ) -> Result<Map<String, Value>> {
        let access = rights::may(&self.actor, entity, right)?;
        if right == "read" {
            return engine::get::row(self, entity, id, engine::Lock::None, &access).await;
        }
        engine::get::row(self, entity, id, engine::Lock::Update, &access.whole_rows()).await
    }

    /// Of the rows that these ids name, those in the caller's reach under a right: for an action
    /// whose input names many.
    pub async fn reached(
        &mut self,
        entity: &'static Entity,
        ids: &[Uuid],
        right: &str,
    ) -> Result<BTreeSet<Uuid>> {
        engine::links::among(self, entity, ids, right).await
    }

    /// The row as the API shows it.
    pub async fn get(&mut self, entity: &'static Entity, id: Uuid) -> Result<Map<String, Value>> {
        self.load(entity, id, "read").await
    }

    /// Statements that this unit of work has sent, beside those that begin and end it.
    pub fn statements(&self) -> u32 {
        self.tx.statements()
    }

    /// A list as the API answers it, from the parameters of its query: JSON text.
    pub async fn list(
        &mut self,
        entity: &'static Entity,
        query: &[(String, String)],
    ) -> Result<Vec<u8>> {
        let access = rights::may(&self.actor, entity, "read")?;
        let query = page::read(self, entity, &access, None, query).await?;
        engine::list::page(self, entity, &query, &access).await
    }

    /// Checks the right, validates and inserts; `body` may hold `id`.
    pub async fn create(
        &mut self,
        entity: &'static Entity,
        body: Map<String, Value>,
    ) -> Result<Uuid> {
        let access = rights::may(&self.actor, entity, "create")?;
        engine::create::create(self, entity, body, &access).await
    }

    /// Inserts for an action or a projection, which may set any field; the action's own right was
    /// checked by dispatch.
    pub async fn insert(
        &mut self,
        entity: &'static Entity,
        body: Map<String, Value>,
    ) -> Result<Uuid> {
        engine::create::insert(self, entity, &body, Writer::Action).await
    }

    /// Like `create` for up to 2,000 rows, by few statements: what became of each, in their order. A
    /// row that is refused is not there; the others are.
    pub async fn create_many(
        &mut self,
        entity: &'static Entity,
        rows: Vec<Map<String, Value>>,
    ) -> Result<Vec<Result<Uuid>>> {
        let access = rights::may(&self.actor, entity, "create")?;
        engine::many::insert(self, entity, rows, Writer::Caller, &access).await
    }

    /// Like `insert` for up to 2,000 rows.
    pub async fn insert_many(
        &mut self,
        entity: &'static Entity,
        rows: Vec<Map<String, Value>>,
    ) -> Result<Vec<Result<Uuid>>> {
        engine::many::insert(self, entity, rows, Writer::Action, &Access::all()).await
    }

    /// Like `patch` for up to 2,000 rows.
    pub async fn patch_many(
        &mut self,
        entity: &'static Entity,
        rows: Vec<Patch>,
    ) -> Result<Vec<Result<Uuid>>> {
        let access = rights::may(&self.actor, entity, "update")?;
        engine::many::update(self, entity, &rows, &access).await
    }

    /// Like `delete` for up to 2,000 rows.
    pub async fn delete_many(
        &mut self,
        entity: &'static Entity,
        rows: &[Named],
    ) -> Result<Vec<Result<Uuid>>> {
        let access = rights::may(&self.actor, entity, "delete")?;
        engine::many::remove(self, entity, rows, &access).await
    }

    /// Deleted rows come back, up to 2,000; who may delete may take it back.
    pub async fn restore_many(
        &mut self,
        entity: &'static Entity,
        rows: &[Named],
    ) -> Result<Vec<Result<Uuid>>> {
        let access = rights::may(&self.actor, entity, "delete")?;
        engine::many::bring_back(self, entity, rows, &access).await
    }

    /// Up to 2,000 rows by their natural keys: changed where they are there, made where they are not.
    pub async fn upsert_many(
        &mut self,
        entity: &'static Entity,
        rows: Vec<Map<String, Value>>,
    ) -> Result<Vec<Result<Uuid>>> {
        let mut all = Vec::with_capacity(rows.len());
        for rows in engine::many::upsert::apart(entity, rows)? {
            let upserted = engine::many::upsert::upsert(self, entity, rows).await?;
            all.extend(upserted.into_iter().map(|one| one.map(Upserted::id)));
        }
        Ok(all)
    }

    /// Absent fields stay, null empties. With `version`, 412 unless the row still has it.
    pub async fn patch(
        &mut self,
        entity: &'static Entity,
        id: Uuid,
        body: Map<String, Value>,
        version: Option<i64>,
    ) -> Result<()> {
        let access = rights::may(&self.actor, entity, "update")?;
        engine::patch::update(self, entity, id, body, version, &access).await
    }

    /// Writes any field, those by action and secret ones too: for actions and projections.
    pub async fn set(
        &mut self,
        entity: &'static Entity,
        id: Uuid,
        fields: &[(&str, Value)],
    ) -> Result<()> {
        engine::patch::set(self, entity, id, fields).await
    }

    pub async fn delete(&mut self, entity: &'static Entity, id: Uuid) -> Result<()> {
        let access = rights::may(&self.actor, entity, "delete")?;
        engine::delete::remove(self, entity, id, None, &access).await
    }

    /// Another domain's action by `domain.action` (internal ones) or `domain.entity.action`, in this
    /// transaction, under the same actor. An action on a row takes the row's `id` in `input`. An
    /// internal action needs no right of its own: it can only be reached through actions that have
    /// one. A move of a flow is called like an action, whether or not one is listed for it.
    pub async fn call(&mut self, path: &str, mut input: Value) -> Result<Value> {
        let (entity, verb) = action::find(self.registry(), path)
            .ok_or_else(|| Error::internal(format!("no action {path}")))?;
        let fields = input
            .as_object_mut()
            .ok_or_else(|| Error::internal(format!("input of {path} is not an object")))?;
        let id = match fields.remove("id") {
            Some(Value::String(text)) => Some(
                Uuid::try_parse(&text)
                    .map_err(|_| Error::field(Code::InvalidId, "id", "the id is not a UUID"))?,
            ),
            _ => None,
        };
        let input = validate::input(verb.input(), std::mem::take(fields))?;
        self.enter(path)?;
        let reply = verb.run(self, entity, id, input, None).await;
        self.leave();
        match reply? {
            Reply::Json(value) => Ok(value),
            Reply::Nothing => Ok(Value::Null),
            Reply::Row(id) => Ok(Value::String(id.to_string())),
            Reply::Await { operation, .. } => Ok(Value::String(operation.to_string())),
        }
    }

    /// A unit of work of its own, which commits whatever becomes of this one: for what may stay when
    /// the rest does not (a number that nobody gets). It must end before anything else is awaited,
    /// and it waits for what this one has locked, until the database gives up.
    pub async fn apart(&self) -> Result<Self> {
        let begin = Begin {
            actor: self.actor.clone(),
            org: self.org,
            request_id: self.request_id,
            mode: Mode::Write,
            causation: self.causation,
            proof: None,
        };
        self.service.open_apart(begin).await
    }

    /// Begins a part that may fail alone, for readers of many facts in one transaction. It ends
    /// with `release_savepoint` or `undo_savepoint`.
    pub async fn savepoint(&self) -> Result<()> {
        self.tx.savepoint().await?;
        self.touched.open_part();
        Ok(())
    }

    pub async fn release_savepoint(&self) -> Result<()> {
        self.tx.release_savepoint().await?;
        self.touched.keep_part();
        Ok(())
    }

    /// Like `release_savepoint`; where parts stand for themselves, rules of the end and deferred
    /// constraints have their say first. A refusal leaves the part to be undone.
    pub(crate) async fn end_part(&mut self) -> Result<()> {
        if !self.parts_stand {
            return self.release_savepoint().await;
        }
        rules::end(self).await?;
        self.tx.release_checked_savepoint().await?;
        self.touched.keep_part();
        Ok(())
    }

    /// The transaction is as it was before the part, whatever failed in it.
    pub async fn undo_savepoint(&self) -> Result<()> {
        self.tx.undo_savepoint().await?;
        self.touched.drop_part();
        self.forget_custom();
        Ok(())
    }

    /// From here on each part is a unit of its own: what must hold when a unit of work ends holds at
    /// the end of each part, so that one part's fault is not everybody's.
    pub fn parts_stand_alone(&mut self) {
        self.parts_stand = true;
    }

    /// Runs the rules of the end now, over what was written so far. The commit does it by itself;
    /// who shows what was written runs them before.
    pub async fn settle(&mut self) -> Result<()> {
        rules::end(self).await
    }

    /// Why the rest of this transaction happens, for the change log.
    pub async fn because(&self, reason: &str) -> Result<()> {
        self.query("select set_config('app.reason', $1, true)", &[&reason]).await.map(drop)
    }

    /// Runs the rules of the end and commits; a refusal, theirs or that of a deferred constraint,
    /// leaves nothing.
    pub async fn commit(mut self) -> Result<()> {
        match rules::end(&mut self).await {
            Ok(()) => self.tx.commit().await,
            Err(error) => Err(self.give_up(error).await),
        }
    }

    /// Rolls back and keeps the connection; the refusal is the answer.
    async fn give_up(self, error: Error) -> Error {
        // A connection that cannot even roll back is closed.
        if let Err(second) = self.rollback().await {
            tracing::warn!(error = second.log_text(), "a rollback failed");
        }
        error
    }

    /// Commits what went well and rolls back what did not: either way the connection stays.
    pub(crate) async fn finish<T>(self, outcome: Result<T>) -> Result<T> {
        match outcome {
            Ok(value) => self.commit().await.map(|()| value),
            Err(error) => Err(self.give_up(error).await),
        }
    }

    /// Ends without a trace and keeps the connection; dropping does the same and closes it.
    pub async fn rollback(self) -> Result<()> {
        self.tx.rollback().await
    }
}

/// A transaction of role work on machine tables: claims, cursors, advisory locks. Statements run by
/// the methods of [`Tx`].
pub struct WorkTx {
    pub now: Timestamp,
    service: Service,
    tx: Tx,
}

impl Deref for WorkTx {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.tx
    }
}

impl WorkTx {
    pub(crate) async fn begin(service: Service, client: Pooled) -> Result<Self> {
        let settings = TxSettings {
            actor_kind: "system".to_owned(),
            request_id: service.new_id().to_string(),
            slow_ms: service.settings().database.slow_ms,
            demands_release: installation::is_told(service.registry()),
            ..TxSettings::default()
        };
        let tx = Tx::new(client, service.registry(), Mode::Write, settings);
        Ok(Self { now: service.now(), service, tx })
    }

    pub fn service(&self) -> &Service {
        &self.service
    }

    pub async fn commit(self) -> Result<()> {
        self.tx.commit().await
    }

    pub async fn rollback(self) -> Result<()> {
        self.tx.rollback().await
    }
}
