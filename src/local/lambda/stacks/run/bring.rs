//! One resource after the other, to what a template wants.

use serde_json::Value;
use uuid::Uuid;

use super::{Done, Run, send};
use crate::local::stacks::{
    Fault,
    changes::{Desired, outputs},
    fault,
    record::{Stack, Status},
    resource::{Asked, Change, Kind, Live},
    template::Resource,
};

/// What one resource is to be.
struct Next<'n> {
    kind: Kind,
    resource: &'n Resource,
    properties: Value,
}

impl Run {
    pub(super) async fn apply(&self, wanted: &Desired, done: &mut Vec<Done>) -> Result<(), Fault> {
        let failed = |logical: &str| {
            format!("The following resource(s) failed to create or update: [{logical}]. ")
        };
        for logical in wanted.order(&self.place)? {
            let resource = &wanted.template.resources[&logical];
            if let Err(Fault(why)) = self.bring(wanted, &logical, resource, done).await {
                let live = self.live(&logical);
                let status = match live {
                    None => Status::CreateFailed,
                    Some(_) => Status::UpdateFailed,
                };
                let physical = live.map(|it| it.made.physical).unwrap_or_default();
                self.note(&logical, (&resource.kind, &physical), status, Some(why))?;
                return fault(failed(&logical));
            }
        }
        let made = self.look(Stack::made)?;
        let shown = outputs(wanted, &wanted.scope(&self.place, Some(&made)))?;
        self.change(|stack| stack.outputs = shown)
    }

    async fn bring(
        &self,
        wanted: &Desired,
        logical: &str,
        resource: &Resource,
        done: &mut Vec<Done>,
    ) -> Result<(), Fault> {
        let kind = Kind::known(&resource.kind, logical)?;
        let made = self.look(Stack::made)?;
        let scope = wanted.scope(&self.place, Some(&made));
        let properties = scope.resolve(&resource.properties)?.unwrap_or_default();
        kind.check(logical, &properties)?;
        let properties = kind.tagged(properties, &self.tags);
        let next = Next {
            kind,
            resource,
            properties,
        };
        let Some(live) = self.live(logical) else {
            let live = self.make(logical, &next, Status::CreateInProgress).await?;
            done.push(Done::Created(logical.to_owned()));
            return self.hold(logical, live, Status::CreateComplete);
        };
        let is_retained = resource.is_retained;
        let live = Live {
            is_retained,
            ..live
        };
        match kind.change(&live.properties, &next.properties) {
            Change::None => self.change(|stack| {
                if let Some(held) = stack.resources.get_mut(logical) {
                    held.live.is_retained = is_retained;
                }
            }),
            Change::Update => self.alter(logical, &next, live, done).await,
            Change::Replace => self.replace(logical, &next, live, done).await,
        }
    }

    async fn make(&self, logical: &str, next: &Next<'_>, status: Status) -> Result<Live, Fault> {
        let Next {
            kind,
            resource,
            properties,
        } = next;
        self.note(logical, (&resource.kind, ""), status, None)?;
        let chance = Uuid::new_v4().simple().to_string();
        let name = kind.name(&self.place.stack_name, logical, &chance);
        let asked = Asked {
            place: &self.place,
            name: &name,
            properties,
        };
        let mut answers = Vec::new();
        let mut live = None;
        for step in kind.create(&asked)? {
            match send(&self.lambda, &step).await {
                Ok(answer) => answers.push(answer),
                Err(why) => {
                    // The first request made it; what follows only completes it.
                    self.discard(*kind, live.as_ref()).await;
                    return Err(why);
                }
            }
            live = Some(Live {
                kind: resource.kind.clone(),
                made: kind.made(&asked, &answers)?,
                properties: (*properties).clone(),
                is_retained: resource.is_retained,
            });
        }
        live.map_or_else(|| fault("nothing makes this resource"), Ok)
    }

    async fn discard(&self, kind: Kind, half: Option<&Live>) {
        for step in half.map(|live| kind.delete(live)).unwrap_or_default() {
            // What stays is told by the failure that led here.
            drop(send(&self.lambda, &step).await);
        }
    }

    async fn alter(
        &self,
        logical: &str,
        next: &Next<'_>,
        live: Live,
        done: &mut Vec<Done>,
    ) -> Result<(), Fault> {
        let kind = &next.resource.kind;
        let physical = live.made.physical.clone();
        self.note(logical, (kind, &physical), Status::UpdateInProgress, None)?;
        // Before the first request: half a change is undone, too.
        done.push(Done::Updated(logical.to_owned(), live.clone()));
        let changed = self.to(next.kind, &live, next.properties.clone()).await?;
        self.hold(logical, changed, Status::UpdateComplete)
    }

    pub(super) async fn to(
        &self,
        kind: Kind,
        live: &Live,
        properties: Value,
    ) -> Result<Live, Fault> {
        let asked = Asked {
            place: &self.place,
            name: &live.made.physical,
            properties: &properties,
        };
        for step in kind.update(&asked, live)? {
            send(&self.lambda, &step).await?;
        }
        Ok(Live {
            properties,
            ..live.clone()
        })
    }

    async fn replace(
        &self,
        logical: &str,
        next: &Next<'_>,
        live: Live,
        done: &mut Vec<Done>,
    ) -> Result<(), Fault> {
        let same = |name: &str| {
            let new = next.properties.get(name);
            new.is_some() && new == live.properties.get(name)
        };
        let is_twin = next.kind.naming().is_some_and(same);
        let is_bound = next.kind == Kind::Alias
            && live.properties.get("FunctionName") != next.properties.get("FunctionName");
        if is_twin && !is_bound {
            let name = &live.made.physical;
            return fault(format!(
                "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename {name} and update the stack again."
            ));
        }
        let fresh = self.make(logical, next, Status::UpdateInProgress).await?;
        done.push(Done::Replaced(logical.to_owned(), live));
        self.hold(logical, fresh, Status::UpdateComplete)
    }
}
