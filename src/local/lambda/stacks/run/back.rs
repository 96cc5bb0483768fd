//! What was done is undone, and what is not wanted any more is removed.

use serde_json::Value;

use super::{Done, Run, send};
use crate::local::stacks::{
    Fault, fault,
    record::Status,
    resource::{Kind, Live},
};

impl Run {
    pub(super) async fn undo(&self, done: Vec<Done>) -> Result<(), Fault> {
        let mut failed = Vec::new();
        for one in done.into_iter().rev() {
            let logical = one.logical().to_owned();
            if let Err(Fault(why)) = self.undo_one(one).await {
                failed.push(format!("{logical}: {why}"));
            }
        }
        match failed.is_empty() {
            true => Ok(()),
            false => fault(failed.join("; ")),
        }
    }

    async fn undo_one(&self, done: Done) -> Result<(), Fault> {
        match done {
            Done::Created(logical) => match self.live(&logical) {
                Some(live) => self.remove(&logical, &live, true).await,
                None => Ok(()),
            },
            Done::Updated(logical, old) => {
                let kind = Kind::known(&old.kind, &logical)?;
                let of = (old.kind.as_str(), old.made.physical.as_str());
                self.note(&logical, of, Status::UpdateInProgress, None)?;
                // Where the change broke off in the middle, all of it is asked for again.
                let now = match self.live(&logical) {
                    Some(live) if live.properties != old.properties => live,
                    Some(_) | None => Live {
                        properties: Value::Null,
                        ..old.clone()
                    },
                };
                let back = self.to(kind, &now, old.properties.clone()).await?;
                self.hold(&logical, back, Status::UpdateComplete)
            }
            Done::Replaced(logical, old) => {
                let fresh = self.live(&logical);
                self.hold(&logical, old, Status::UpdateComplete)?;
                match fresh {
                    Some(fresh) => self.remove(&logical, &fresh, false).await,
                    None => Ok(()),
                }
            }
        }
    }

    /// Removes a resource, unless it is to stay where it is. `is_held` tells whether it is the stack's own, and not one before it.
    pub(super) async fn remove(
        &self,
        logical: &str,
        live: &Live,
        is_held: bool,
    ) -> Result<(), Fault> {
        let of = (live.kind.as_str(), live.made.physical.as_str());
        let end = match live.is_retained {
            true => Status::DeleteSkipped,
            false => {
                self.note(logical, of, Status::DeleteInProgress, None)?;
                if let Err(Fault(why)) = self.send_all(live).await {
                    self.note(logical, of, Status::DeleteFailed, Some(why.clone()))?;
                    return fault(why);
                }
                Status::DeleteComplete
            }
        };
        self.note(logical, of, end, None)?;
        self.change(|stack| {
            if is_held {
                stack.resources.remove(logical);
            }
        })
    }

    async fn send_all(&self, live: &Live) -> Result<(), Fault> {
        let steps = Kind::parse(&live.kind).map(|kind| kind.delete(live));
        for step in steps.unwrap_or_default() {
            send(&self.lambda, &step).await?;
        }
        Ok(())
    }
}
