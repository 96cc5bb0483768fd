//! One service with everything that is known of it.

use std::collections::BTreeMap;

use crate::{
    cli::{
        exit::Result,
        output::Output,
        remote::{
            age,
            client::{Client, understand},
            tone, truth_tone,
        },
        screen::{Screen, Tone},
        table::{Cell, Table},
    },
    clock::{Clock, SystemClock},
    name::{ReleaseDigest, Revision},
    status::{
        condition::Condition,
        service::{
            ServiceReport, Status,
            rollout::{GatePhase, GateReport, RolloutReport},
            target::{Health, SlotReport, SlotState, TargetReport},
        },
    },
};

pub(super) async fn tell(
    client: &Client,
    screen: &Screen,
    name: &str,
    output: Output,
) -> Result<()> {
    let key = client.key(name).await?;
    let value = client.get(&format!("/api/v1/services/{key}"), &[]).await?;
    match output {
        Output::Json => screen.json(&value),
        Output::Yaml => screen.yaml(&value),
        Output::Name => {
            screen.line(&key.to_string());
            Ok(())
        }
        Output::Table | Output::Wide => {
            service(screen, &understand(&value)?, output == Output::Wide);
            Ok(())
        }
    }
}

fn service(screen: &Screen, report: &ServiceReport, is_wide: bool) {
    let status = &report.status;
    let phase = screen.paint(tone(status.phase), status.phase.as_str());
    let name = screen.paint(Tone::Strong, &report.key().to_string());
    screen.line(&format!("{name}  {phase}"));
    field(screen, "why", &status.why);
    revisions(screen, status);
    for waiting in status
        .waiting
        .iter()
        .filter(|waiting| waiting.on != "nothing")
    {
        field(screen, "waits for", &waiting.text);
    }
    for fault in &status.faults {
        field(screen, "fault", fault);
    }
    for target in &status.targets {
        target_of(screen, target, is_wide);
    }
    if let Some(rollout) = &status.rollout {
        rollout_of(screen, rollout);
    }
    gates(screen, &status.gates);
    conditions(screen, &status.conditions);
}

fn field(screen: &Screen, name: &str, value: &str) {
    if !value.is_empty() {
        let name = screen.paint(Tone::Quiet, &format!("{name:<9}"));
        screen.line(&format!("  {name} {}", screen.paint(Tone::Plain, value)));
    }
}

fn revisions(screen: &Screen, status: &Status) {
    let both = |revision: &Option<Revision>, release: &Option<ReleaseDigest>| {
        let revision = revision.as_ref().map(Revision::short).unwrap_or_default();
        let release = release
            .as_ref()
            .map(ReleaseDigest::short)
            .unwrap_or_default();
        format!("{revision}  {release}").trim().to_owned()
    };
    field(
        screen,
        "desired",
        &both(&status.revisions.desired, &status.releases.desired),
    );
    field(
        screen,
        "live",
        &both(&status.revisions.live, &status.releases.live),
    );
    field(screen, "previous", &both(&None, &status.releases.previous));
    if let Some(pin) = &status.pin {
        field(
            screen,
            "pinned",
            &format!("at {} by {}", pin.release.short(), pin.actor.username),
        );
    }
    if let Some(suspension) = &status.suspension {
        let until = suspension.until.map(|until| format!(", until {until}"));
        let told = format!(
            "by {}: {}{}",
            suspension.actor.username,
            suspension.reason,
            until.unwrap_or_default()
        );
        field(screen, "suspended", &told);
    }
    for rejected in &status.rejected {
        let told = format!("{}: {}", rejected.release.short(), rejected.message);
        field(screen, "rejected", &told);
    }
}

fn target_of(screen: &Screen, target: &TargetReport, is_wide: bool) {
    let health = match target.health {
        Health::Healthy => Tone::Good,
        Health::Degraded | Health::Missing => Tone::Bad,
        Health::Unknown => Tone::Busy,
    };
    let head = screen.paint(Tone::Strong, &format!("{:<5}", target.cloud));
    let health = screen.paint(health, target.health.as_str());
    let place = screen.paint(Tone::Quiet, &target.place);
    let seen = age(target.seen_at, SystemClock.now());
    let seen = if seen.is_empty() {
        "never seen".to_owned()
    } else {
        format!("seen {seen} ago")
    };
    screen.line(&format!(
        "  {head}  {health}  {place}  {}",
        screen.paint(Tone::Quiet, &seen)
    ));
    slot(screen, Tone::Blue, "blue", &target.blue, true);
    slot(screen, Tone::Green, "green", &target.green, is_wide);
    if let Some(problem) = &target.problem {
        screen.line(&format!(
            "    {}",
            screen.paint(Tone::Bad, &problem.trouble.message)
        ));
    }
    for ailing in &target.ailing {
        screen.line(&format!("    {}", screen.paint(Tone::Bad, ailing)));
    }
    for drift in &target.drift {
        screen.line(&format!(
            "    {}",
            screen.paint(Tone::Bad, &format!("drift: {drift}"))
        ));
    }
}

fn slot(screen: &Screen, tone: Tone, name: &str, slot: &SlotReport, with_addresses: bool) {
    let name = screen.paint(tone, &format!("{name:<5}"));
    let holds = match slot.state {
        SlotState::Unknown => "not seen".to_owned(),
        SlotState::Empty => "empty".to_owned(),
        SlotState::Torn => "functions of different releases".to_owned(),
        SlotState::Whole => {
            let revision = slot
                .revision
                .as_ref()
                .map(Revision::short)
                .unwrap_or_default();
            let release = slot
                .release
                .as_ref()
                .map(ReleaseDigest::short)
                .unwrap_or_default();
            let canary = slot.canary.as_ref().map(|canary| {
                let release = canary.release.as_ref().map(ReleaseDigest::short);
                let release = release.unwrap_or_else(|| "an unknown release".to_owned());
                format!("  canary: {} to {release}", canary.weight)
            });
            let canary = canary.unwrap_or_default();
            format!("{revision}  {release}  {}{canary}", slot.label)
        }
    };
    screen.line(&format!(
        "    {name}  {}",
        screen.paint(Tone::Plain, &holds)
    ));
    if with_addresses {
        for (function, address) in &slot.addresses {
            let address = screen.paint(Tone::Plain, address.as_str());
            screen.line(&format!("           {function}  {address}"));
        }
    }
}

fn rollout_of(screen: &Screen, rollout: &RolloutReport) {
    let RolloutReport {
        id,
        phase,
        trigger,
        actor,
        started_at,
        message,
        ..
    } = rollout;
    let told = format!(
        "{id} {phase}, {} by {} at {started_at}",
        trigger.to_lowercase(),
        actor.username
    );
    field(screen, "rollout", &told);
    if let Some(message) = message {
        field(screen, "", message);
    }
    if let Some(canary) = &rollout.canary {
        let told = format!("step {} of {}: {}", canary.step, canary.steps, canary.told);
        field(screen, "canary", &told);
        for note in &canary.notes {
            field(screen, "", note);
        }
    }
}

fn gates(screen: &Screen, gates: &[GateReport]) {
    if gates.is_empty() {
        return;
    }
    let mut table = Table::new(vec![
        "  GATE", "TYPE", "PHASE", "PASSED", "FAILED", "MESSAGE",
    ]);
    for gate in gates {
        let (tone, word) = match gate.phase {
            GatePhase::Pending => (Tone::Quiet, "Pending"),
            GatePhase::Running => (Tone::Busy, "Running"),
            GatePhase::Successful => (Tone::Good, "Successful"),
            GatePhase::Failed => (Tone::Bad, "Failed"),
            GatePhase::Error => (Tone::Bad, "Error"),
            GatePhase::Inconclusive => (Tone::Busy, "Inconclusive"),
        };
        table.row(vec![
            Cell::plain(format!("  {}", gate.name)),
            Cell::plain(&gate.kind),
            Cell::new(tone, word),
            Cell::plain(gate.successful.to_string()),
            Cell::plain((gate.failed + gate.error).to_string()),
            Cell::plain(gate_words(gate)),
        ]);
    }
    screen.line("");
    screen.text(&table.render(screen));
}

/// Why it did not pass; or the figures of its newest measurement on each target.
fn gate_words(gate: &GateReport) -> String {
    if let Some(message) = &gate.message {
        return message.clone();
    }
    let mut newest = BTreeMap::new();
    for made in &gate.measurements {
        if let Some(summary) = made.evidence.summary() {
            newest.insert(made.target, summary);
        }
    }
    let told = newest.into_iter().map(|(target, summary)| match target {
        Some(target) => format!("{target}: {summary}"),
        None => summary,
    });
    told.collect::<Vec<_>>().join("; ")
}

fn conditions(screen: &Screen, conditions: &[Condition]) {
    let mut table = Table::new(vec!["  CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"]);
    for condition in conditions {
        table.row(vec![
            Cell::plain(format!("  {:?}", condition.kind)),
            Cell::new(truth_tone(condition.status), condition.status.as_str()),
            Cell::plain(&condition.reason),
            Cell::plain(age(Some(condition.last_transition_time), SystemClock.now())),
            Cell::plain(&condition.message),
        ]);
    }
    if !table.is_empty() {
        screen.line("");
        screen.text(&table.render(screen));
    }
}
