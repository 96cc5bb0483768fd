//! Reads queues for the functions that they set off, in batches as host.json has it.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{
    Ear,
    binding::{self, Queue},
    message::{self, Fate},
};
use crate::{
    local::{
        arm::{
            cloud::{Cloud, State},
            host::{
                app::{App, InFlight},
                forward,
                package::{Function, Polling},
                wrap::Event,
            },
            model::{Resource, SlotKey},
            queues::{keys::keys_of, store},
        },
        process::Stream,
        queue::Message,
    },
    name::Timestamp,
};

/// A message that is being worked on is hidden for so long, and again before that is over.
const HIDDEN: Duration = Duration::from_secs(10 * 60);

/// An app that does not start is not started again for every look.
const REST: Duration = Duration::from_secs(5);

/// Roles that let an identity read and delete messages.
const QUEUE_ROLES: [&str; 2] = [
    "974c5e8b-45b9-4653-ba55-5f855dd0fbe8",
    "8a0f0c08-91a1-4084-bc3d-661d67233fed",
];

/// One function that reads a queue, for the app that has the place.
#[derive(Clone)]
struct Reader {
    key: SlotKey,
    name: String,
    function: Function,
    queue: Queue,
    polling: Polling,
}

/// Begins to read where there is something to read and room for it.
pub(super) fn look(cloud: &Arc<Cloud>, key: &SlotKey, app: &Arc<App>, now: Timestamp) {
    let Some(package) = &app.parts.package else {
        return;
    };
    for (name, function) in &package.functions {
        if app.is_disabled(name, function) {
            continue;
        }
        let Some(queue) = binding::queue(&function.config, &app.parts.settings) else {
            continue;
        };
        let ear = app.listening.of(name);
        let is_busy = Ear::others(&ear.reading) > 0
            || Ear::others(&ear.under_way) > package.polling.threshold
            || ear.rests.is_some_and(|until| now < until);
        if is_busy || !waits(cloud, key, &queue, now) {
            continue;
        }
        let Some(entered) = cloud.doors.enter_as(key, app) else {
            return;
        };
        let reader = Reader {
            key: key.clone(),
            name: name.clone(),
            function: function.clone(),
            queue,
            polling: package.polling.clone(),
        };
        cloud
            .tasks
            .spawn(read(Arc::clone(cloud), entered, reader, ear));
    }
}

/// Whether a message waits that the app may read.
fn waits(cloud: &Cloud, key: &SlotKey, queue: &Queue, now: Timestamp) -> bool {
    let state = cloud.state();
    let found = state
        .world
        .queues
        .get(&store::key(&queue.account, &queue.name));
    let has_any = found.is_some_and(|it| it.messages.visible(now).next().is_some());
    has_any && is_let_in(cloud, &state, key, queue)
}

fn is_let_in(cloud: &Cloud, state: &State, key: &SlotKey, queue: &Queue) -> bool {
    let mut accounts = state.world.accounts.values();
    let named = |it: &&Resource| it.name.eq_ignore_ascii_case(&queue.account);
    let (Some(account), Some((_, slot))) = (accounts.find(named), state.site(key)) else {
        return false;
    };
    if let Some(shown) = &queue.key {
        return keys_of(account).iter().any(|(_, key)| key == shown);
    }
    cloud.may(slot, &QUEUE_ROLES, &account.id)
}

/// Reads one batch, and has it worked on.
async fn read(cloud: Arc<Cloud>, entered: InFlight, reader: Reader, ear: Ear) {
    let Ear {
        reading,
        under_way,
        rests: _,
    } = ear;
    let app = entered.app();
    // A message that no app takes is not counted as read.
    if app.ready().await.is_err() {
        let until = cloud.clock.now().after(REST);
        app.listening.rest(&reader.name, until);
        return;
    }
    for message in batch(&cloud, app, &reader) {
        let work = work(
            Arc::clone(&cloud),
            app.enter(),
            reader.clone(),
            message,
            Arc::clone(&under_way),
        );
        cloud.tasks.spawn(work);
    }
    drop((reading, under_way));
}

/// Nothing where another app has taken the place while this one started. Apps are exchanged while the state is locked.
fn batch(cloud: &Cloud, app: &Arc<App>, reader: &Reader) -> Vec<Message> {
    let now = cloud.clock.now();
    let mut state = cloud.state();
    if !cloud.doors.holds(&reader.key, app) {
        return Vec::new();
    }
    let key = store::key(&reader.queue.account, &reader.queue.name);
    let queue = state.world.queues.get_mut(&key);
    let read = queue.map(|it| it.messages.read(reader.polling.batch, now, HIDDEN));
    cloud.changed();
    read.unwrap_or_default()
}

async fn work(
    cloud: Arc<Cloud>,
    entered: InFlight,
    reader: Reader,
    mut message: Message,
    _under_way: Arc<()>,
) {
    let polling = &reader.polling;
    let event = message::event(&message, polling, cloud.clock.now());
    let fate = match event {
        Some(event) => {
            let worked = run(&cloud, &entered, &reader, &event, &mut message).await;
            message::fate(worked, message.reads, polling)
        }
        None => {
            tell(
                &entered,
                &format!("{}: a message is no base64", reader.name),
            );
            Fate::Bury
        }
    };
    settle(&cloud, &reader, message, fate);
}

/// Whether the function ended well. The message stays hidden meanwhile.
async fn run(
    cloud: &Cloud,
    entered: &InFlight,
    reader: &Reader,
    event: &Event,
    message: &mut Message,
) -> bool {
    let done = forward::set_off(entered, (&reader.name, &reader.function), event);
    tokio::pin!(done);
    loop {
        let soon = Instant::now() + HIDDEN / 2;
        tokio::select! {
            done = &mut done => {
                if let Err(error) = &done {
                    tell(entered, &format!("{} failed: {error}", reader.name));
                }
                return done.is_ok();
            }
            () = sleep_until(soon) => hide_again(cloud, reader, message),
        }
    }
}

fn hide_again(cloud: &Cloud, reader: &Reader, message: &mut Message) {
    let now = cloud.clock.now();
    let key = store::key(&reader.queue.account, &reader.queue.name);
    let mut state = cloud.state();
    let queue = state.world.queues.get_mut(&key);
    let held = (message.id.as_str(), message.receipt.as_str());
    if let Some(Ok(hidden)) = queue.map(|it| it.update(now, held, HIDDEN, None)) {
        *message = hidden;
    }
}

/// A message that somebody else deleted or read meanwhile is theirs.
fn settle(cloud: &Cloud, reader: &Reader, message: Message, fate: Fate) {
    let now = cloud.clock.now();
    let (name, account) = (&reader.queue.name, &reader.queue.account);
    let mut state = cloud.state();
    let queues = &mut state.world.queues;
    let Some(queue) = queues.get_mut(&store::key(account, name)) else {
        return;
    };
    let held = (message.id.as_str(), message.receipt.as_str());
    let is_ours = match fate {
        Fate::Delete | Fate::Bury => queue.delete(now, held).is_ok(),
        Fate::GiveBack => queue.update(now, held, reader.polling.pause, None).is_ok(),
    };
    if is_ours && fate == Fate::Bury {
        let poison = store::key(account, &format!("{name}-poison"));
        let fresh = Message::new(message.body, now);
        queues.entry(poison).or_default().messages.move_in(fresh);
    }
    cloud.changed();
}

fn tell(entered: &InFlight, text: &str) {
    entered.app().parts.logs.push(Stream::Platform, text);
}
