//! Sends each request at its moment, or as soon after it as the cap allows.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout_at},
};

use super::tally::Tally;
use crate::{
    gates::{
        http::Client,
        reply::{self, RELEASE_HEADER},
    },
    manifest::gates::LoadGate,
};

/// Timers are exact to a millisecond; what leaves within this left on time.
const ON_TIME: Duration = Duration::from_millis(5);

/// Sends one request and sorts its answer.
#[derive(Clone)]
pub(super) struct Shooter {
    pub(super) client: Client,
    pub(super) requests: Arc<[reqwest::Request]>,
    /// The release that must answer.
    pub(super) release: String,
    pub(super) status: Option<u16>,
    pub(super) answer_within: Duration,
    /// Of the whole measurement.
    pub(super) end: Instant,
}

/// How one request ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Ended {
    Right,
    /// The release answered, and not as wanted.
    Wrong {
        why: String,
    },
    /// Another release answered, or what stands before all of them.
    Foreign {
        told: String,
    },
    Nothing {
        why: String,
    },
}

/// One request, and its times.
#[derive(Clone, Debug)]
pub(super) struct Shot {
    /// When it was meant to be sent.
    pub(super) due: Instant,
    pub(super) finished: Instant,
    /// How late it left though nothing but this machine kept it.
    pub(super) own_delay: Duration,
    pub(super) is_judged: bool,
    pub(super) ended: Ended,
}

impl Shooter {
    pub(super) async fn shoot(self, index: usize) -> Ended {
        let request = &self.requests[index % self.requests.len()];
        // Bodies are texts, and texts can be sent again.
        let Some(request) = request.try_clone() else {
            let why = "the request cannot be repeated".to_owned();
            return Ended::Nothing { why };
        };
        let until = self.end.min(Instant::now() + self.answer_within);
        let late = || "no answer in time".to_owned();
        let response = match timeout_at(until, self.client.send(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(why)) => return Ended::Nothing { why },
            Err(_) => return Ended::Nothing { why: late() },
        };
        let status = response.status().as_u16();
        let release = response.headers().get(RELEASE_HEADER).cloned();
        match timeout_at(until, reply::drain(response)).await {
            Ok(true) => {}
            Ok(false) => {
                let why = "the answer broke off".to_owned();
                return Ended::Nothing { why };
            }
            Err(_) => return Ended::Nothing { why: late() },
        }
        self.sort(status, release.as_ref().and_then(|it| it.to_str().ok()))
    }

    /// Whose an answer is comes before what it says.
    fn sort(&self, status: u16, release: Option<&str>) -> Ended {
        let is_right = match self.status {
            Some(wanted) => status == wanted,
            None => status < 400,
        };
        match release {
            Some(told) if told == self.release && is_right => Ended::Right,
            Some(told) if told == self.release => Ended::Wrong {
                why: format!("status {status}"),
            },
            None | Some("") => Ended::Foreign {
                told: format!("the platform answered {status} in place of the release"),
            },
            Some(_) => Ended::Foreign {
                told: "the slot answered as another release".to_owned(),
            },
        }
    }
}

/// When each request is meant to be sent, from the beginning on.
pub(super) struct Schedule {
    per_second: f64,
    ramp: f64,
    /// Requests of the ramp: half as many as the full rate would have.
    pub(super) of_ramp: u64,
    /// All of them.
    pub(super) total: u64,
}

impl Schedule {
    pub(super) fn of(gate: &LoadGate) -> Self {
        let of_ramp = gate.rate.times(gate.ramp) / 2;
        Self {
            per_second: gate.rate.per_second(),
            ramp: gate.ramp.as_secs_f64(),
            of_ramp,
            total: of_ramp + gate.count(),
        }
    }

    /// The rate grows evenly, so the number of requests grows with the square of the time.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a gate has far fewer requests than a float has exact whole numbers"
    )]
    pub(super) fn at(&self, index: u64) -> Duration {
        let seconds = if index < self.of_ramp {
            (2.0 * index as f64 * self.ramp / self.per_second).sqrt()
        } else {
            self.ramp + (index - self.of_ramp) as f64 / self.per_second
        };
        Duration::from_secs_f64(seconds)
    }
}

/// Sends everything, and waits for every answer.
pub(super) async fn drive(
    shooter: &Shooter,
    gate: &LoadGate,
    in_flight_max: u32,
    tally: &mut Tally,
) {
    let schedule = Schedule::of(gate);
    let start = Instant::now();
    let stop = start + gate.ramp + gate.duration;
    tally.begin(start + gate.ramp, stop);
    let mut under_way = JoinSet::new();
    let mut is_behind = false;
    for index in 0..schedule.total {
        let due = start + schedule.at(index);
        let is_judged = index >= schedule.of_ramp;
        sleep_and_collect(due, &mut under_way, tally).await;
        while under_way.len() >= in_flight_max as usize {
            is_behind = true;
            let freed = timeout_at(stop, under_way.join_next()).await;
            let Ok(freed) = freed else {
                // As many as allowed are still under way at the end: the rest could not be sent.
                for index in index..schedule.total {
                    let is_judged = index >= schedule.of_ramp;
                    tally.unsent(start + schedule.at(index), is_judged);
                }
                finish(&mut under_way, tally).await;
                return;
            };
            freed.into_iter().for_each(|done| tally.take(done));
        }
        let now = Instant::now();
        is_behind &= now > due + ON_TIME;
        let late = now.saturating_duration_since(due);
        tally.sent(late, is_behind, is_judged);
        let own_delay = if is_behind { Duration::ZERO } else { late };
        let turn = usize::try_from(index).unwrap_or_default();
        let shot = shooter.clone().shoot(turn);
        under_way.spawn(async move {
            let ended = shot.await;
            let finished = Instant::now();
            Shot {
                due,
                finished,
                own_delay,
                is_judged,
                ended,
            }
        });
        tally.under_way(under_way.len());
    }
    finish(&mut under_way, tally).await;
}

async fn sleep_and_collect(due: Instant, under_way: &mut JoinSet<Shot>, tally: &mut Tally) {
    loop {
        tokio::select! {
            biased;
            () = sleep_until(due) => return,
            Some(done) = under_way.join_next() => tally.take(done),
        }
    }
}

/// Each request has its own limit, so this ends.
async fn finish(under_way: &mut JoinSet<Shot>, tally: &mut Tally) {
    while let Some(done) = under_way.join_next().await {
        tally.take(done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::gates::{Rate, Share};

    fn gate(ramp: u64) -> LoadGate {
        LoadGate {
            requests: Vec::new(),
            rate: Rate { per_hour: 36_000 },
            ramp: Duration::from_secs(ramp),
            duration: Duration::from_secs(3),
            answer_within: Duration::from_secs(1),
            status: None,
            p50: None,
            p95: None,
            p99: None,
            errors: Some(Share::default()),
            max_in_flight: 8,
        }
    }

    #[test]
    fn a_schedule_rises_and_then_holds_its_rate() {
        let steady = Schedule::of(&gate(0));
        assert_eq!((steady.of_ramp, steady.total), (0, 30));
        assert_eq!(steady.at(29), Duration::from_millis(2900));
        let rising = Schedule::of(&gate(4));
        assert_eq!((rising.of_ramp, rising.total), (20, 50));
        assert_eq!(rising.at(20), Duration::from_secs(4));
        let gaps: Vec<Duration> = (1..50)
            .map(|index| rising.at(index).saturating_sub(rising.at(index - 1)))
            .collect();
        assert!(
            gaps.windows(2)
                .all(|pair| pair[1] <= pair[0] + Duration::from_micros(1))
        );
    }
}
