//! Asks a slot at a steady rate, whatever its answers do (an *open loop*, as users are), and tells how it bore that.
//!
//! A generator that waits for an answer before it asks again slows down together with its target, and then reports the few slow answers
//! that it saw in place of the many that it never asked for. Here each request has a moment at which it is meant to be sent, and its time
//! counts from that moment, also where it had to wait because as many as allowed were under way.
//!
//! # Guarantees
//!
//! Never more requests at once than the gate's own cap, and over all gates of a daemon never more than its [`Room`]. Nothing goes on when
//! the measurement is dropped.

mod drive;
mod tally;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use self::{
    drive::{Ended, Shooter, drive},
    tally::Tally,
};
use super::{address, http::Client, shown};
use crate::{
    clock::Clock,
    desired::ReleaseContent,
    manifest::gates::LoadGate,
    name::ReleaseDigest,
    observed::Addresses,
    rollout::{
        evidence::{Evidence, Measurement, Outcome},
        figures::LoadEvidence,
    },
};

/// How long the slot has, before the load begins, to answer as the release: it can serve what it held before for a while.
const FIRST_ANSWER_WITHIN: Duration = Duration::from_secs(15);
const FIRST_ANSWER_PAUSE: Duration = Duration::from_millis(300);

/// Requests that evidence names.
const REQUESTS_TOLD: usize = 8;

/// Requests of loads that one daemon may have under way at once, over all gates.
#[derive(Clone, Debug)]
pub struct Room {
    free: Arc<Semaphore>,
    most: u32,
}

/// Where there is none in time.
struct NoRoom;

impl Room {
    pub fn new(most: u32) -> Self {
        let free = Arc::new(Semaphore::new(most as usize));
        Self { free, most }
    }

    /// Takes a gate's share for as long as the load lasts, so that loads never slow each other down unseen.
    async fn take(
        &self,
        wanted: u32,
        until: Instant,
    ) -> Result<(OwnedSemaphorePermit, u32), NoRoom> {
        let share = wanted.min(self.most).max(1);
        let taken = Arc::clone(&self.free).acquire_many_owned(share);
        match tokio::time::timeout_at(until, taken).await {
            Ok(Ok(permit)) => Ok((permit, share)),
            Ok(Err(_)) | Err(_) => Err(NoRoom),
        }
    }
}

/// What is asked, and where.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub gate: &'a LoadGate,
    pub content: &'a ReleaseContent,
    /// Of the slot.
    pub addresses: &'a Addresses,
    /// For the whole measurement, the wait for room included.
    pub timeout: Duration,
    /// Who must answer.
    pub release: ReleaseDigest,
}

/// Loads the slot once. Never fails: whatever goes wrong is the measurement's outcome.
///
/// # Guarantees
///
/// Ends within the question's timeout.
pub async fn measure(
    client: &Client,
    room: &Room,
    question: &Question<'_>,
    clock: &dyn Clock,
) -> Measurement {
    let started_at = clock.now();
    let (outcome, evidence) = match load(client, room, question).await {
        Ok((outcome, evidence)) => (outcome, Evidence::Load(evidence)),
        Err(why) => (Outcome::Error { why }, Evidence::None),
    };
    Measurement {
        target: None,
        started_at,
        finished_at: clock.now(),
        outcome,
        evidence,
    }
}

/// The error says why there was no load.
async fn load(
    client: &Client,
    room: &Room,
    question: &Question<'_>,
) -> Result<(Outcome, LoadEvidence), String> {
    let Question {
        gate,
        content,
        addresses,
        timeout,
        release,
    } = *question;
    let end = Instant::now() + timeout;
    let mut requests = Vec::new();
    for request in &gate.requests {
        let found = address::of_request(&request.method, &request.path, content, addresses);
        let base = found.map_err(|error| error.to_string())?;
        let sent = (request.method.as_str(), request.path.as_str());
        requests.push(client.build(sent, &request.headers, request.body.as_deref(), base)?);
    }
    let told = requests.iter().take(REQUESTS_TOLD);
    let told = told.map(|it| format!("{} {}", it.method(), shown::shown_url(it.url())));
    let told: Vec<String> = told.collect();
    let most = gate.max_in_flight;
    let taken = room.take(most, end).await;
    let (_share, in_flight_max) = taken
        .map_err(|NoRoom| format!("other loads left no room for {most} requests in {timeout:?}"))?;
    let shooter = Shooter {
        client: client.clone(),
        requests: requests.into(),
        release: release.to_string(),
        status: gate.status,
        answer_within: gate.answer_within,
        end,
    };
    first_answer(&shooter, end).await?;
    if Instant::now() + gate.ramp + gate.duration > end {
        return Err(format!("{timeout:?} is too short for this load"));
    }
    let mut tally = Tally::default();
    drive(&shooter, gate, in_flight_max, &mut tally).await;
    let evidence = tally.evidence(gate, told, in_flight_max);
    let outcome = tally.judge(gate, &evidence);
    Ok((outcome, evidence))
}

/// Waits until the release answers, right or wrong: a load on what the slot held before would say nothing.
async fn first_answer(shooter: &Shooter, end: Instant) -> Result<(), String> {
    let end = end.min(Instant::now() + FIRST_ANSWER_WITHIN);
    loop {
        let why = match shooter.clone().shoot(0).await {
            Ended::Right | Ended::Wrong { .. } => return Ok(()),
            Ended::Foreign { told } => told,
            Ended::Nothing { why } => why,
        };
        if Instant::now() + FIRST_ANSWER_PAUSE >= end {
            return Err(format!("the load did not begin: {why}"));
        }
        tokio::time::sleep(FIRST_ANSWER_PAUSE).await;
    }
}
