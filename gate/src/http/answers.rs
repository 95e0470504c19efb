//! Answers to the questions of a door: read with the scan, compared with what the event asks, sealed
//! under the key of the ticket's order. Whether anything has to be answered, the inventory decides.

use std::collections::BTreeMap;

use inventory::command::DoorAnswers;
use inventory::config::{QUESTIONS_MAX, QuestionConfig, QuestionKind};
use inventory::personal;
use inventory::task::{Query, QueryReply};
use serde_json::Value;
use uuid::Uuid;

use crate::events::Event;
use crate::gate::Gate;
use crate::json::Fields;
use crate::problem::{Code, Problem};

/// Longest answer, in characters.
const ANSWER_CHARS_MAX: usize = 500;
/// What a confirmed question is kept as.
const CONFIRMED: &str = "true";

/// By question; what they may be depends on the question.
#[derive(Default)]
pub(super) struct Answers(BTreeMap<Uuid, Value>);

/// Why answers could not be sealed.
pub(super) enum Unsealed {
    Problem(Problem),
    /// The store did not say under which key.
    Unavailable,
}

impl Answers {
    /// `answers`: an object of answers by question id, which may be absent.
    pub(super) fn read(fields: &mut Fields) -> Self {
        let mut answers = BTreeMap::new();
        for (name, value) in fields.members("answers", QUESTIONS_MAX) {
            match Uuid::try_parse(&name) {
                Ok(id) => drop(answers.insert(id, value)),
                Err(_) => {
                    fields.error("answers", "format", "is named by ids of questions".to_owned());
                }
            }
        }
        Self(answers)
    }

    /// Answers for the inventory; none when none were given.
    pub(super) async fn seal(
        self,
        gate: &Gate,
        event: &Event,
        ticket: u64,
    ) -> Result<Option<DoorAnswers>, Unsealed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let view = event.view();
        let mut texts = BTreeMap::new();
        for (id, value) in &self.0 {
            let asked = view.config.questions.iter().find(|question| question.id == *id);
            let text = judge(asked, value).map_err(|(code, message)| {
                let field = format!("answers.{id}");
                Unsealed::Problem(Problem::field(Code::InvalidBody, &field, code, message))
            })?;
            texts.insert(*id, text);
        }
        let order = match event.handle.query(Query::Ticket(ticket)).await {
            Ok(QueryReply::Ticket(ticket)) => ticket.order,
            // The inventory says so itself.
            Ok(_) => return Ok(None),
            Err(_) => return Err(Unsealed::Unavailable),
        };
        let keys = gate.log.data_keys(event.id, &[order]).await;
        let keys = keys.map_err(|_| Unsealed::Unavailable)?;
        let sealed = match keys.first() {
            Some((_, key)) => personal::seal_answers(&texts, key, event.id, order)
                .map_err(|error| Unsealed::Problem(Problem::internal(error.to_string())))?,
            // The order was erased: that it was answered is kept, what was said is not.
            None => Vec::new(),
        };
        Ok(Some(DoorAnswers { questions: texts.into_keys().collect(), sealed }))
    }
}

/// The answer as text, or what is wrong with it.
fn judge(
    question: Option<&QuestionConfig>,
    value: &Value,
) -> Result<String, (&'static str, &'static str)> {
    let Some(question) = question else {
        return Err(("unknown", "is not a question of this event"));
    };
    match (question.kind, value) {
        (QuestionKind::Confirm, Value::Bool(true)) => Ok(CONFIRMED.to_owned()),
        (QuestionKind::Confirm, _) => Err(("format", "must be true: it has to be confirmed")),
        (QuestionKind::Choice, Value::String(text)) if question.options.contains(text) => {
            Ok(text.clone())
        }
        (QuestionKind::Choice, _) => Err(("format", "must be one of the question's options")),
        (QuestionKind::Text, Value::String(text)) => {
            let (trimmed, chars) = (text.trim(), text.chars().count());
            if trimmed.is_empty() || ANSWER_CHARS_MAX < chars {
                Err(("range", "must have 1 to 500 characters"))
            } else if text.chars().any(char::is_control) {
                Err(("format", "must not contain control characters"))
            } else {
                Ok(trimmed.to_owned())
            }
        }
        (QuestionKind::Text, _) => Err(("type", "must be text")),
    }
}
