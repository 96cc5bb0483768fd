//! The endpoint's heart: the world, what is under way in it, and the apps that serve it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::local::arm::{
    host::app::App,
    model::{Key, Outcome, PRODUCTION, Site, Slot, SlotKey, World},
    operations::Operations,
    options::ArmOptions,
    past::Late,
    persist::Disk,
    serve::{self, Listening, Speaks},
    slots::front::{self, Doors},
    trust::Trust,
    wire::{activity::Activity, answer::ArmError, throttle::Throttle},
};
use crate::{
    clock::Clock,
    local::process::{LogLine, LogRing},
    name::CodeDigest,
};

/// A crash of the whole program loses no more than this.
const SAVE_EVERY: Duration = Duration::from_millis(100);

/// Everything one endpoint is made of.
pub(super) struct Cloud {
    pub options: ArmOptions,
    pub clock: Arc<dyn Clock>,
    pub disk: Arc<Disk>,
    pub doors: Arc<Doors>,
    /// What the listeners of slots understand.
    pub speaks: Speaks,
    pub stop: CancellationToken,
    pub tasks: TaskTracker,
    pub lag: Arc<Late>,
    state: Mutex<State>,
    pub(super) trust: Arc<Mutex<Trust>>,
    open: Mutex<BTreeMap<SlotKey, Open>>,
    dirty: Notify,
}

/// What is known, and what is under way.
#[derive(Default)]
pub(super) struct State {
    pub world: World,
    pub operations: Operations,
    pub throttle: Throttle,
    pub activity: Activity,
}

/// The listeners of one slot, and the output of its code.
struct Open {
    stop: CancellationToken,
    logs: Arc<LogRing>,
}

impl Cloud {
    pub(super) fn new(
        options: ArmOptions,
        clock: Arc<dyn Clock>,
        disk: impl Into<Arc<Disk>>,
        speaks: Speaks,
        stop: CancellationToken,
    ) -> Self {
        Self {
            lag: Arc::new(Late::new(options.stale_reads, options.faults.clone())),
            options,
            clock,
            disk: disk.into(),
            speaks,
            stop,
            doors: Arc::default(),
            tasks: TaskTracker::new(),
            state: Mutex::default(),
            trust: Arc::default(),
            open: Mutex::default(),
            dirty: Notify::new(),
        }
    }

    /// The state, locked. Hold it for as long as it takes to look or to change, never across a wait.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Identities and secrets, locked. Where the state is locked too, it was locked first.
    pub(super) fn trust(&self) -> MutexGuard<'_, Trust> {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something that outlives a restart has changed.
    pub(super) fn changed(&self) {
        self.dirty.notify_one();
    }

    // === slots and their listeners ===

    /// Opens the listeners of a slot and puts its app in place; its ports are written into it.
    pub(super) fn open_slot(self: &Arc<Self>, site: &Site, slot: &mut Slot) -> io::Result<()> {
        let key = slot_key(site, slot);
        let (front, scm) = (
            serve::bind_again(slot.front_port)?,
            serve::bind_again(slot.scm_port)?,
        );
        slot.front_port = front.local_addr()?.port();
        slot.scm_port = scm.local_addr()?.port();
        let stop = self.stop.child_token();
        let listening = |router| Listening {
            speaks: self.speaks.clone(),
            router,
            stop: stop.clone(),
            tasks: self.tasks.clone(),
        };
        let open = Open {
            stop: stop.clone(),
            logs: self.new_logs(site, slot)?,
        };
        self.open().insert(key.clone(), open);
        self.replace(vec![(key.clone(), self.app(site, slot))]);
        let faults = self.options.faults.clone();
        listening(front::router(Arc::clone(&self.doors), key.clone(), faults)).spawn(front);
        listening(crate::local::arm::slots::kudu::router(
            Arc::clone(self),
            key,
        ))
        .spawn(scm);
        Ok(())
    }

    fn new_logs(&self, site: &Site, slot: &Slot) -> io::Result<Arc<LogRing>> {
        let (clock, lines) = (Arc::clone(&self.clock), self.options.log_lines);
        match self.disk.log_file(&site.name, &slot.name) {
            Some(file) => LogRing::with_file(clock, lines, &file),
            None => Ok(LogRing::new(clock, lines)),
        }
    }

    /// Closes a slot's listeners and ends its app.
    pub(super) fn close_slot(&self, key: &SlotKey) {
        if let Some(open) = self.open().remove(key) {
            open.stop.cancel();
        }
        if let Some(app) = self.doors.remove(key) {
            self.tasks.spawn(async move { app.stop().await });
        }
    }

    /// Puts another app in a slot's place, because its settings or its package changed: the code restarts.
    pub(super) fn restart(&self, site: &Site, slot: &Slot) {
        self.replace(vec![(slot_key(site, slot), self.app(site, slot))]);
    }

    /// Exchanges apps in one step; those that were there end once their requests have.
    pub(super) fn replace(&self, apps: Vec<(SlotKey, Arc<App>)>) {
        for old in self.doors.put(apps) {
            self.tasks.spawn(async move { old.retire().await });
        }
    }

    pub(super) fn logs_of(&self, key: &SlotKey) -> Arc<LogRing> {
        let open = self.open();
        open.get(key).map_or_else(
            || LogRing::new(Arc::clone(&self.clock), self.options.log_lines),
            |open| Arc::clone(&open.logs),
        )
    }

    /// Kept output by `site` or `site/slot`.
    pub(super) fn logs(&self, name: &str) -> Option<Vec<LogLine>> {
        let (site, slot) = name.split_once('/').unwrap_or((name, PRODUCTION));
        let key = {
            let state = self.state();
            let mut sites = state.world.sites.values();
            let site = sites.find(|one| one.name.eq_ignore_ascii_case(site))?;
            SlotKey {
                site: site.key(),
                slot: slot.to_ascii_lowercase(),
            }
        };
        self.open().get(&key).map(|open| open.logs.lines())
    }

    /// Kept output of one slot.
    pub(super) fn lines_of(&self, key: &SlotKey) -> Vec<LogLine> {
        let open = self.open();
        let lines = open.get(key).map(|open| open.logs.lines());
        lines.unwrap_or_default()
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<SlotKey, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // === what runs beside the requests ===

    /// Opens every slot of a restored world.
    pub(super) fn restore(self: &Arc<Self>, mut world: World) -> io::Result<()> {
        *self.trust() = std::mem::take(&mut world.trust);
        for site in world.sites.values_mut() {
            let as_it_was = site.clone();
            for slot in site.slots.values_mut() {
                give_up_deployments(slot);
                self.open_slot(&as_it_was, slot)?;
            }
        }
        self.state().world = world;
        Ok(())
    }

    /// Saves what changed, until told to stop; then once more, and ends all apps.
    pub(super) async fn keep(self: Arc<Self>) {
        while (self.stop.run_until_cancelled(self.dirty.notified()).await).is_some() {
            self.save().await;
            // Changes come in bursts; one save serves them all.
            self.stop.run_until_cancelled(sleep(SAVE_EVERY)).await;
        }
        for app in self.doors.all() {
            app.stop().await;
        }
        self.save().await;
    }

    async fn save(self: &Arc<Self>) {
        let cloud = Arc::clone(self);
        let saved = tokio::task::spawn_blocking(move || {
            let (text, forgotten) = cloud.snapshot()?;
            cloud.disk.save(&text, &forgotten)
        });
        if let Ok(Err(error)) = saved.await {
            tracing::error!(%error, "the local Azure state could not be saved");
        }
    }

    /// The world as text, and the packages that it used no more and that are gone by now.
    fn snapshot(&self) -> io::Result<(Vec<u8>, Vec<CodeDigest>)> {
        let mut state = self.state();
        state.world.trust = self.trust().clone();
        let sites = state.world.sites.values();
        let slots = sites.flat_map(|site| site.slots.values());
        let used = slots.filter_map(|slot| slot.content.package);
        let used: BTreeSet<_> = used.chain(state.world.blobs.values().copied()).collect();
        // Still under the lock: a package that the world names a moment later would be gone under whoever put it there.
        let forgotten = self.disk.forget(&used);
        let text = if self.disk.keeps() {
            serde_json::to_vec(&state.world)?
        } else {
            Vec::new()
        };
        Ok((text, forgotten))
    }

    /// Stops apps that nobody uses.
    pub(super) async fn idle_out(self: Arc<Self>) {
        let Some(idle) = self.options.idle_timeout else {
            return;
        };
        let mut tick = tokio::time::interval((idle / 4).max(Duration::from_millis(50)));
        while self.stop.run_until_cancelled(tick.tick()).await.is_some() {
            for app in self.doors.all() {
                app.idle_out(idle).await;
            }
        }
    }
}

// === impl State ===

impl State {
    pub(super) fn site(&self, key: &SlotKey) -> Option<(&Site, &Slot)> {
        let site = self.world.sites.get(&key.site)?;
        Some((site, site.slots.get(&key.slot)?))
    }

    pub(super) fn slot_mut(&mut self, key: &SlotKey) -> Option<&mut Slot> {
        let site = self.world.sites.get_mut(&key.site)?;
        site.slots.get_mut(&key.slot)
    }

    /// # Errors
    ///
    /// 409 while another operation runs on the site.
    pub(super) fn idle(&self, site: &Key) -> Result<(), ArmError> {
        match self.operations.busy(site) {
            Some(what) => Err(ArmError::Conflict(format!(
                "Cannot modify this site because another operation is in progress. Details: {what}"
            ))),
            None => Ok(()),
        }
    }
}

pub(super) fn slot_key(site: &Site, slot: &Slot) -> SlotKey {
    SlotKey {
        site: site.key(),
        slot: slot.name.to_ascii_lowercase(),
    }
}

/// What was under way when the endpoint ended will not end by itself.
fn give_up_deployments(slot: &mut Slot) {
    for deployment in &mut slot.content.deployments {
        if deployment.outcome == Outcome::Running {
            deployment.outcome = Outcome::Failed {
                reason: "the deployment was interrupted".to_owned(),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Cursor, sync::atomic::AtomicBool, sync::atomic::Ordering, thread};

    use super::*;
    use crate::clock::SystemClock;

    fn endpoint() -> Cloud {
        let disk = Disk::open(None).unwrap();
        let stop = CancellationToken::new();
        let (options, clock) = (ArmOptions::default(), Arc::new(SystemClock));
        Cloud::new(options, clock, disk, Speaks::Plain, stop)
    }

    /// Ends whoever waits for it, even where a check before its end has failed.
    struct Ends<'a>(&'a AtomicBool);

    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// Whoever puts a package there names it a moment later, and a save may be anywhere in between.
    #[test]
    fn a_package_that_the_world_names_is_not_forgotten() {
        let zip = zip::ZipWriter::new(Cursor::new(Vec::new())).finish();
        let zip = zip.unwrap().into_inner();
        let (cloud, ended) = (endpoint(), AtomicBool::new(false));
        thread::scope(|threads| {
            threads.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    let (text, forgotten) = cloud.snapshot().unwrap();
                    cloud.disk.save(&text, &forgotten).unwrap();
                }
            });
            let _ends = Ends(&ended);
            let mut lost = 0;
            for _ in 0..200 {
                let package = cloud.disk.add(&zip).unwrap();
                let name = "account/container/package.zip".to_owned();
                cloud.state().world.blobs.insert(name, package.digest);
                let digest = package.digest;
                drop(package);
                lost += u32::from(cloud.disk.package(&digest).is_none());
                cloud.state().world.blobs.clear();
            }
            assert_eq!(lost, 0);
        });
    }
}
