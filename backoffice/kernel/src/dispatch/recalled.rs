//! A read by a caller whom this process has proved before: one transaction proves again and reads, and
//! the answer is told only where the proof held. Where it does not, or where nothing was read that
//! could have proved it, the call is answered as if nobody were known.

use uuid::Uuid;

use super::route::Target;
use super::{Answer, Call, Method, asked, charge, group, outside, run, tries};
use crate::accounts::authenticate::recall;
use crate::error::Result;
use crate::service::Service;

pub(super) enum Recalled {
    Answered(Result<Answer>),
    /// To be asked by the long way; the organization that the call was charged to, and with what
    /// outcome.
    Anew {
        charged: Option<(Uuid, Result<()>)>,
    },
}

const ANEW: Recalled = Recalled::Anew { charged: None };

pub(super) async fn answer(service: &Service, call: &Call, target: &Target) -> Recalled {
    if call.method != Method::Get || matches!(target, Target::Export { .. }) {
        return ANEW;
    }
    let Some((proved, proof)) = call.secret.as_deref().and_then(|one| recall(service, one)) else {
        return ANEW;
    };
    // What it would be refused for has to be as true as what it would be shown.
    let Ok((actor, org)) = asked(call).and_then(|asked| proved.caller.enter(asked)) else {
        return ANEW;
    };
    // Such a read writes, too.
    if actor.is_logged() || outside::admit(&actor, target).is_err() {
        return ANEW;
    }
    let charged = charge(service, call, Some(org), group(target));
    if charged.is_err() {
        return Recalled::Anew { charged: Some((org, charged)) };
    }
    let asker = run::Asker { actor: &actor, org, proof: Some(&proof) };
    let (done, holds) = tries(service, call, target, asker).await;
    let outcome = match done {
        Ok(run::Done::Answer(answer)) if holds => Ok(answer),
        Err(error) if holds => Err(error),
        _ => {
            service.metrics().recalled("anew");
            return Recalled::Anew { charged: Some((org, charged)) };
        }
    };
    service.metrics().recalled("proved");
    Recalled::Answered(outcome)
}
