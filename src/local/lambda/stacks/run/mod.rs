//! Carries stacks from one template to the next, and back where that fails.
//!
//! # Guarantees
//!
//! What was made, changed or removed is written down before the next request is sent. Where a resource cannot be made or changed, what was
//! done so far is undone in reverse; where that fails too, the stack says so and stays.

mod back;
mod bring;

use std::{collections::BTreeMap, sync::Arc};

use uuid::Uuid;

use super::{Lambda, ask::desired, invalid, send::send};
use crate::local::stacks::{
    Fault,
    changes::Desired,
    fault,
    record::{Event, Held, Stack, Status, Wish},
    resource::Live,
    value::Place,
};

/// Nobody removes a stack that is worked on.
const GONE: &str = "the stack is gone";

/// What is to become of a stack.
pub(super) enum Work {
    Create(Desired),
    Update { wanted: Desired, before: Box<Stack> },
    Delete,
}

/// Begins work on a stack that says so already.
pub(super) fn start(lambda: &Arc<Lambda>, id: &str, work: Work) {
    let Some(stack) = lambda.stacks().0.get(id).cloned() else {
        return;
    };
    let run = Run {
        lambda: Arc::clone(lambda),
        id: id.to_owned(),
        place: lambda.place_of(&stack),
        tags: stack.wish.tags.clone(),
        keeps_failed: stack.keeps_failed,
    };
    lambda.tasks.spawn(run.carry_out(work));
}

struct Run {
    lambda: Arc<Lambda>,
    id: String,
    place: Place,
    tags: BTreeMap<String, String>,
    keeps_failed: bool,
}

/// What was done, to be undone.
enum Done {
    Created(String),
    Updated(String, Live),
    /// Another one took its place; the old one is still there.
    Replaced(String, Live),
}

impl Run {
    async fn carry_out(self, work: Work) {
        let done = match work {
            Work::Create(wanted) => self.create(&wanted).await,
            Work::Update { wanted, before } => self.update(&wanted, *before).await,
            Work::Delete => self.delete().await,
        };
        if let Err(Fault(why)) = done {
            tracing::warn!(
                stack = self.place.stack_name,
                why,
                "a stack cannot be written down"
            );
        }
    }

    // --- what is remembered ---

    fn look<T>(&self, look: impl FnOnce(&Stack) -> T) -> Result<T, Fault> {
        let stacks = self.lambda.stacks();
        stacks
            .0
            .get(&self.id)
            .map_or_else(|| fault(GONE), |stack| Ok(look(stack)))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Stack) -> T) -> Result<T, Fault> {
        let changed = self
            .lambda
            .change_stacks(|stacks| match stacks.0.get_mut(&self.id) {
                Some(stack) => Ok(change(stack)),
                None => invalid(GONE),
            });
        changed.map_err(|(_, _, message)| Fault(message))
    }

    fn turn(&self, status: Status, reason: Option<String>) -> Result<(), Fault> {
        self.change(|stack| self.lambda.turn(stack, status, reason))
    }

    fn event(
        &self,
        logical: &str,
        (kind, physical): (&str, &str),
        status: Status,
        reason: Option<String>,
    ) -> Event {
        Event {
            id: format!("{logical}-{}-{}", status.as_str(), Uuid::new_v4()),
            at: self.lambda.clock.now(),
            logical: logical.to_owned(),
            physical: physical.to_owned(),
            kind: kind.to_owned(),
            status,
            reason,
        }
    }

    fn note(
        &self,
        logical: &str,
        of: (&str, &str),
        status: Status,
        reason: Option<String>,
    ) -> Result<(), Fault> {
        let event = self.event(logical, of, status, reason);
        self.change(|stack| stack.note(event))
    }

    fn hold(&self, logical: &str, live: Live, status: Status) -> Result<(), Fault> {
        let event = self.event(logical, (&live.kind, &live.made.physical), status, None);
        let held = Held {
            live,
            status,
            changed: event.at,
        };
        self.change(|stack| {
            stack.note(event);
            stack.resources.insert(logical.to_owned(), held);
        })
    }

    fn live(&self, logical: &str) -> Option<Live> {
        let held = |stack: &Stack| Some(stack.resources.get(logical)?.live.clone());
        self.look(held).ok()?
    }

    // --- the three works ---

    async fn create(&self, wanted: &Desired) -> Result<(), Fault> {
        let mut done = Vec::new();
        match self.apply(wanted, &mut done).await {
            Ok(()) => self.turn(Status::CreateComplete, None),
            Err(Fault(why)) if self.keeps_failed => self.turn(Status::CreateFailed, Some(why)),
            Err(Fault(why)) => {
                self.turn(Status::RollbackInProgress, Some(why))?;
                match self.undo(done).await {
                    Ok(()) => self.turn(Status::RollbackComplete, None),
                    Err(Fault(why)) => self.turn(Status::RollbackFailed, Some(why)),
                }
            }
        }
    }

    async fn update(&self, wanted: &Desired, before: Stack) -> Result<(), Fault> {
        let mut done = Vec::new();
        if let Err(Fault(why)) = self.apply(wanted, &mut done).await {
            if self.keeps_failed {
                return self.turn(Status::UpdateFailed, Some(why));
            }
            self.turn(Status::UpdateRollbackInProgress, Some(why))?;
            let undone = self.undo(done).await;
            self.change(|stack| {
                stack.wish = before.wish;
                stack.outputs = before.outputs;
                stack.description = before.description;
            })?;
            return match undone {
                Ok(()) => self.turn(Status::UpdateRollbackComplete, None),
                Err(Fault(why)) => self.turn(Status::UpdateRollbackFailed, Some(why)),
            };
        }
        self.turn(Status::UpdateCleanup, None)?;
        // As the real one does, it tells of what could not be removed, and goes on.
        for (logical, live) in done.into_iter().rev().filter_map(Done::replaced) {
            drop(self.remove(&logical, &live, false).await);
        }
        let order = wanted.order(&self.place)?;
        let gone = self.backwards(&before.wish)?.into_iter();
        for logical in gone.filter(|it| !order.contains(it)) {
            if let Some(live) = self.live(&logical) {
                drop(self.remove(&logical, &live, true).await);
            }
        }
        self.turn(Status::UpdateComplete, None)
    }

    async fn delete(&self) -> Result<(), Fault> {
        let mut failed = Vec::new();
        let wish = self.look(|stack| stack.wish.clone())?;
        for logical in self.backwards(&wish)? {
            if let Some(live) = self.live(&logical)
                && self.remove(&logical, &live, true).await.is_err()
            {
                failed.push(logical);
            }
        }
        if failed.is_empty() {
            return self.turn(Status::DeleteComplete, None);
        }
        let names = failed.join(", ");
        let why = format!("The following resource(s) failed to delete: [{names}].");
        self.turn(Status::DeleteFailed, Some(why))
    }

    /// All resources, each before those that it needs, as far as the wish knows them; the others first.
    fn backwards(&self, wish: &Wish) -> Result<Vec<String>, Fault> {
        let mut all = self.look(|stack| stack.resources.keys().cloned().collect::<Vec<_>>())?;
        let wanted = desired(wish).unwrap_or_default();
        let order = wanted.order(&self.place).unwrap_or_default();
        let rank = |name: &String| order.iter().position(|it| it == name);
        all.sort_by_key(|name| std::cmp::Reverse(rank(name).unwrap_or(usize::MAX)));
        Ok(all)
    }
}

impl Done {
    fn logical(&self) -> &str {
        match self {
            Self::Created(logical) | Self::Updated(logical, _) | Self::Replaced(logical, _) => {
                logical
            }
        }
    }

    fn replaced(self) -> Option<(String, Live)> {
        match self {
            Self::Replaced(logical, old) => Some((logical, old)),
            Self::Created(_) | Self::Updated(_, _) => None,
        }
    }
}
