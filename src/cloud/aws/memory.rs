//! What is remembered from call to call, so that fewer calls are needed. All of it may be lost at any time, and anything of it may be
//! out of date: whoever acts on it sends the revision along that it was read with, and a version that is gone is looked for again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::survey::{AliasDetail, Pointer, Standing};
use crate::{
    cloud::looking::Looker,
    name::{CodeDigest, ServiceKey, Slot},
};

/// What `GetFunction` of an alias does not tell; it seldom changes without the version behind an alias changing, too.
#[derive(Clone, Debug)]
pub(super) struct Details {
    pub(super) read_at: Instant,
    pub(super) standing: Standing,
    pub(super) aliases: BTreeMap<Slot, AliasDetail>,
}

impl Details {
    /// Of a function without aliases, as of now.
    pub(super) fn bare(standing: Standing) -> Self {
        Self {
            read_at: Instant::now(),
            standing,
            aliases: BTreeMap::new(),
        }
    }
}

/// Published versions, and fingerprints of what they are set to.
pub(super) type Versions = BTreeMap<u64, CodeDigest>;

/// Longest time from a question to where its answer is noted: a shared list stands for a minute, and no look takes ten.
const IN_HAND_MAX: Duration = Duration::from_secs(600);

/// Callers come and go with releases, each with another id; nobody has so many at once.
const CALLERS_MAX: usize = 256;

/// By the names of functions.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<BTreeMap<String, Known>>);

#[derive(Debug, Default)]
struct Known {
    details: Option<Details>,
    /// Calls beside `GetFunction` that it takes to read the details.
    price: u64,
    /// None where they were not listed yet.
    versions: Option<Versions>,
    /// Green as it was seen since anything was changed: nothing, where there is no green.
    #[expect(clippy::option_option, reason = "looked at or not, then there or not")]
    green: Option<Option<Pointer>>,
    /// The name of the role of its own that blue runs as.
    role: Option<String>,
    /// Names of roles that were made for it, and that no version has for all we know.
    spare_roles: BTreeSet<String>,
    /// Names of what calls it, which its own name is no part of; kept after it is gone, for those who ask who took it.
    callers: BTreeSet<String>,
    /// By us; or when we asked for a look at all of it.
    changed_at: Option<Instant>,
}

/// What is remembered of a function where nothing is under way: nothing was staged or written since both slots were seen.
#[derive(Clone, Debug)]
pub(super) struct Quiet {
    pub(super) standing: Standing,
    pub(super) blue: AliasDetail,
    /// What blue would go back to, or the release that blue holds, too.
    pub(super) green: Option<Pointer>,
}

impl Known {
    fn is_quiet(&self, service: &ServiceKey) -> bool {
        let Some((details, blue, green)) = self.at_rest() else {
            return false;
        };
        let is_settled = green.is_none_or(|green| {
            blue.previous.as_ref() == Some(&green.version) || blue.version == green.version
        });
        let noted = details.aliases.get(&Slot::Green).map(|it| &it.version);
        let is_noted = noted == green.map(|it| &it.version);
        let is_whole = is_noted && !blue.is_split();
        is_settled && is_whole && details.standing.is_of(service)
    }

    /// Of a function that has a blue, and whose green was seen since anything was changed.
    fn at_rest(&self) -> Option<(&Details, &AliasDetail, Option<&Pointer>)> {
        let details = self.details.as_ref()?;
        let blue = details.aliases.get(&Slot::Blue)?;
        Some((details, blue, self.green.as_ref()?.as_ref()))
    }

    fn quiet(&self, service: &ServiceKey) -> Option<Quiet> {
        let (details, blue, green) = self.at_rest().filter(|_| self.is_quiet(service))?;
        Some(Quiet {
            standing: details.standing.clone(),
            blue: blue.clone(),
            green: green.cloned(),
        })
    }

    fn is_of(&self, service: &ServiceKey) -> bool {
        let details = self.details.as_ref();
        details.is_some_and(|it| it.standing.is_of(service))
    }

    /// We changed nothing after that.
    fn is_since(&self, moment: Instant) -> bool {
        self.changed_at.is_none_or(|changed| changed <= moment)
    }

    /// Nothing is known but when it was changed, and nobody still has in hand what was seen before.
    fn is_over(&self) -> bool {
        let Self {
            details,
            price,
            versions,
            green,
            role,
            spare_roles,
            callers: _,
            changed_at,
        } = self;
        let is_there = |it: &Details| it.standing != Standing::Missing;
        let is_known = details.as_ref().is_some_and(is_there)
            || versions.is_some()
            || green.is_some()
            || role.is_some()
            || !spare_roles.is_empty();
        let is_long_ago = changed_at.is_none_or(|at| at.elapsed() > IN_HAND_MAX);
        !is_known && *price == 0 && is_long_ago
    }

    fn changed(&mut self) {
        self.green = None;
        self.changed_at = Some(Instant::now());
    }

    fn is_younger(&self, than: Duration) -> bool {
        let details = self.details.as_ref();
        details.is_some_and(|it| it.read_at.elapsed() < than)
    }
}

impl Memory {
    fn book(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, name: &str, note: impl FnOnce(&mut Known) -> T) -> T {
        note(self.book().entry(name.to_owned()).or_default())
    }

    fn of<T>(&self, name: &str, look: impl FnOnce(&Known) -> Option<T>) -> Option<T> {
        self.book().get(name).and_then(look)
    }

    /// Younger than this.
    pub(super) fn details(&self, name: &str, younger: Duration) -> Option<Details> {
        self.of(name, |known| {
            known.details.clone().filter(|_| known.is_younger(younger))
        })
    }

    /// Nothing is noted of a look that began before we changed something.
    pub(super) fn note_details(&self, name: &str, details: Details) {
        self.with(name, |known| {
            if known.is_since(details.read_at) {
                known.details = Some(details);
                known.green = None;
            }
        });
    }

    /// What it takes to read the details; gives what it took before.
    pub(super) fn note_price(&self, name: &str, price: u64) -> u64 {
        self.with(name, |known| std::mem::replace(&mut known.price, price))
    }

    /// The role of its own that blue runs as, where it does.
    pub(super) fn note_role(&self, name: &str, role: Option<&str>) {
        self.with(name, |known| known.role = role.map(str::to_owned));
    }

    pub(super) fn role(&self, name: &str) -> Option<String> {
        self.of(name, |known| known.role.clone())
    }

    /// Until a version has it.
    pub(super) fn note_spare_role(&self, name: &str, role: &str) {
        self.with(name, |known| {
            known.spare_roles.insert(role.to_owned());
        });
    }

    pub(super) fn note_no_spare_role(&self, name: &str, role: &str) {
        self.with(name, |known| {
            known.spare_roles.remove(role);
        });
    }

    pub(super) fn spare_roles(&self, name: &str) -> BTreeSet<String> {
        let known = self.of(name, |known| Some(known.spare_roles.clone()));
        known.unwrap_or_default()
    }

    /// What was seen to call it, besides what was seen before.
    pub(super) fn note_callers(&self, name: &str, callers: BTreeSet<String>) {
        self.with(name, |known| {
            if known.callers.len() > CALLERS_MAX {
                known.callers.clear();
            }
            known.callers.extend(callers);
        });
    }

    pub(super) fn callers(&self, name: &str) -> BTreeSet<String> {
        let known = self.of(name, |known| Some(known.callers.clone()));
        known.unwrap_or_default()
    }

    /// After an alias was moved, and nothing but the alias.
    pub(super) fn note_alias(&self, name: &str, slot: Slot, moved: AliasDetail) {
        self.with(name, |known| {
            known.changed();
            if let Some(details) = &mut known.details {
                details.aliases.insert(slot, moved);
            }
        });
    }

    /// As it was seen by a look that began then.
    pub(super) fn note_green(&self, name: &str, began: Instant, green: Option<&Pointer>) {
        self.with(name, |known| {
            if known.is_since(began) {
                known.green = Some(green.cloned());
            }
        });
    }

    /// With details younger than this.
    pub(super) fn quiet(
        &self,
        service: &ServiceKey,
        name: &str,
        younger: Duration,
    ) -> Option<Quiet> {
        let young = |known: &Known| known.is_younger(younger).then(|| known.quiet(service));
        self.of(name, |known| young(known).flatten())
    }

    pub(super) fn looker(&self, service: &ServiceKey, name: &str) -> Looker {
        match self.book().get(name).map(|known| known.is_quiet(service)) {
            None => Looker::First,
            Some(false) => Looker::Busy,
            Some(true) => Looker::Idle,
        }
    }

    /// When we changed anything of it last, or asked for a look at all of it.
    pub(super) fn changed_at(&self, name: &str) -> Option<Instant> {
        self.of(name, |known| known.changed_at)
    }

    /// What comes after this in the names of the service's functions that it is the start of.
    pub(super) fn names_after(&self, service: &ServiceKey, start: &str) -> Vec<String> {
        let book = self.book();
        let begin = book.range(start.to_owned()..);
        let rest = begin.map_while(|(name, known)| Some((name.strip_prefix(start)?, known)));
        let own = rest.filter(|(_, known)| known.is_of(service));
        own.map(|(rest, _)| rest.to_owned()).collect()
    }

    pub(super) fn versions(&self, name: &str) -> Option<Versions> {
        self.of(name, |known| known.versions.clone())
    }

    pub(super) fn note_versions(&self, name: &str, versions: Versions) {
        self.with(name, |known| known.versions = Some(versions));
    }

    pub(super) fn note_version(&self, name: &str, number: u64, fingerprint: CodeDigest) {
        self.with(name, |known| {
            if let Some(versions) = &mut known.versions {
                versions.insert(number, fingerprint);
            }
        });
    }

    pub(super) fn note_deleted(&self, name: &str, deleted: &BTreeSet<String>) {
        self.with(name, |known| {
            if let Some(versions) = &mut known.versions {
                versions.retain(|number, _| !deleted.contains(&number.to_string()));
            }
        });
    }

    /// What is attached is read anew at the next look; versions are what they were.
    pub(super) fn look_again(&self, name: &str) {
        self.with(name, |known| {
            known.details = None;
            known.changed();
        });
    }

    /// It is gone; gives what it took to read its details. When it went is kept for a while: a look that began before must not bring it
    /// back.
    pub(super) fn take(&self, name: &str) -> u64 {
        let mut book = self.book();
        book.retain(|_, known| !known.is_over());
        let mut gone = Known::default();
        gone.changed();
        let before = book.insert(name.to_owned(), gone);
        before.map_or(0, |known| known.price)
    }

    /// What it takes to read the details of every function.
    pub(super) fn price(&self) -> u64 {
        self.book().values().map(|known| known.price).sum()
    }

    /// Nothing is sure any more: a call failed, or its reply was lost.
    pub(super) fn forget(&self, name: &str) {
        self.with(name, |known| {
            let price = known.price;
            let role = known.role.take();
            let spare_roles = std::mem::take(&mut known.spare_roles);
            let callers = std::mem::take(&mut known.callers);
            *known = Known {
                price,
                role,
                spare_roles,
                callers,
                ..Known::default()
            };
            known.changed();
        });
    }
}
