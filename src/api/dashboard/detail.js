// One service with all that is told of it: conditions, both slots, gates with their evidence, history, and what may be done.

import { cloudName, el, link, pill, readable, shortRevision, time, truth, words } from "/dashboard/view.js";

const ACTIVE = ["Queued", "Building", "Staging", "Gating", "Paused", "AwaitingApproval", "Shifting", "Promoting", "Baking"];

// Which actions fit; the daemon has the last word.
const ACTIONS = [
  ["approve", "Approve", (it) => it.phase === "AwaitingApproval", "primary"],
  ["promote", "Promote now", (it) => it.waiting.some((on) => ["soak", "bake", "canary"].includes(on.on)), "primary"],
  ["override", "Override window", (it) => it.waiting.some((on) => on.on === "window"), "grave"],
  ["retry", "Retry", (it) => ["Rejected", "RolledBack", "Paused", "Stalled"].includes(it.phase), "primary"],
  ["resume", "Resume", (it) => it.destruction || it.suspension || it.rollout?.paused || it.pin?.kind === "rollback", "primary"],
  ["unpin", "Unpin", (it) => it.pin?.kind === "person", "primary"],
  ["pause", "Pause", (it) => ACTIVE.includes(it.phase) && !it.rollout?.paused && it.rollout?.trigger !== "Rollback"],
  ["reconcile", "Reconcile", () => true],
  ["suspend", "Suspend", (it) => !it.suspension && !it.destruction],
  ["pin", "Pin", (it) => it.releases.live && it.pin?.kind !== "person" && !["Promoting", "Baking", "RollingBack"].includes(it.phase)],
  ["rollback", "Roll back", (it) => it.releases.previous && !ACTIVE.includes(it.phase), "grave"],
  ["abort", "Abort", (it) => ACTIVE.includes(it.phase), "grave"],
];

export function detail(report, rollout, history, why, act) {
  const { status } = report;
  return el("div", { class: "detail" },
    el("p", { class: "sentence" }, readable(status.why)),
    el("div", { class: "actions" }, ACTIONS.filter(([, , fits]) => fits(status)).map(([verb, label, , kind]) =>
      el("button", { type: "button", class: kind, onclick: () => act(verb, label) }, label))),
    why?.obstacles.length ? explained(why) : waiting(status),
    el("div", { class: "grid" }, status.targets.map(target)),
    rollout && progress(rollout),
    el("div", { class: "grid" }, conditions(status), facts(report)),
    history.length > 0 && past(history));
}

const NEEDS = { person: ["bad", "needs a person"], commit: ["bad", "needs a commit"], cloud: ["wait", "needs a cloud"], time: ["move", "needs time"], later: ["calm", "still to come"] };

// What stands between the newest commit and users, the most pressing first.
function explained(why) {
  return el("section", {}, el("h3", {}, "Why it is not live"),
    el("ol", { class: "obstacles" }, why.obstacles.map((it) => {
      const [kind, needs] = NEEDS[it.needs] ?? ["calm", it.needs];
      return el("li", {},
        el("p", {}, el("span", { class: `pill ${kind}` }, needs), " ", readable(it.what),
          it.since && el("span", { class: "holding" }, " since ", time(it.since)), it.until && el("span", { class: "holding" }, ` until ${readable(it.until)}`)),
        it.evidence.length > 0 && el("ul", { class: "holding" }, it.evidence.map((line) => el("li", {}, readable(line)))),
        it.ways.map((way) => el("p", { class: "way" }, way.command && el("code", {}, way.command), way.command ? ` ${way.text}` : readable(way.text))));
    })));
}

function waiting(status) {
  const on = status.waiting.filter((it) => it.on !== "nothing");
  const faults = status.faults.map((fault) => el("li", {}, el("code", {}, fault)));
  if (faults.length) return el("section", {}, el("h3", {}, "Wrong in the manifest"), el("ul", {}, faults));
  if (!on.length) return null;
  return el("section", {}, el("h3", {}, "Waits for"),
    el("ul", {}, on.map((it) => el("li", {}, readable(it.text), it.failure && !it.text.includes(it.failure.message) && ` (${it.failure.message})`))));
}

function target(target) {
  return el("section", { class: "box" },
    el("h3", {}, cloudName(target.cloud), el("span", { class: "place" }, target.place && ` ${target.place}`)),
    slot("blue", target.blue), slot("green", target.green),
    target.problem && el("p", { class: "holding" }, `cannot be seen: ${target.problem.message}`),
    (target.ailing ?? []).map((ailing) => el("p", { class: "holding" }, ailing)),
    target.drift.map((drift) => el("p", { class: "holding" }, `drift: ${drift}`)),
    target.seenAt && el("p", { class: "holding" }, "seen ", time(target.seenAt)));
}

function slot(color, slot) {
  const said = { empty: "empty", unknown: "not seen yet", torn: "its functions are of different releases" }[slot.state];
  const addresses = Object.entries(slot.addresses);
  return el("div", {},
    el("span", { class: `slot ${color} ${slot.state}` }, `${color} `, said ?? shortRevision(slot.revision)),
    slot.release && el("p", { class: "holding" }, el("code", {}, slot.release.slice(7, 19)), slot.label && ` ${slot.label}`),
    addresses.map(([name, address]) => el("p", { class: "holding" }, `${name} `, link(address))));
}

function progress(rollout) {
  const who = rollout.actor.automated ? "" : ` by ${rollout.actor.username}`;
  return el("section", {},
    el("h3", {}, `Rollout ${rollout.id} of ${shortRevision(rollout.revision)}, ${rollout.trigger.toLowerCase()}${who}`),
    el("ol", { class: "timeline" }, rollout.transitions.map((move) =>
      el("li", { title: move.message }, words(move.phase), time(move.at)))),
    rollout.message && el("p", { class: "holding" }, rollout.message),
    el("div", {}, rollout.gatesDetail.map(gate)));
}

function gate(gate) {
  const counts = [["ok", gate.successful], ["failed", gate.failed], ["error", gate.error], ["unclear", gate.inconclusive]];
  const tally = counts.filter(([, count]) => count).map(([word, count]) => `${count} ${word}`).join(", ");
  const approved = gate.approvals.map((it) => it.voidSince ? `${it.username} (void)` : it.username).join(", ");
  const open = gate.phase !== "Successful" && gate.measurements.length > 0;
  return el("details", { class: "gate", open },
    el("summary", {}, pill(gate.phase), el("b", {}, gate.name), el("span", {}, gate.type),
      gate.dryRun && el("span", {}, "(dry run)"),
      el("span", { class: "tally" }, tally || (approved && `approved by ${approved}`) || (gate.needed ? `${gate.needed} needed` : "until the bake ends"))),
    gate.message && el("p", { class: "measured" }, gate.message),
    gate.measurements.slice(-6).reverse().map(measurement));
}

function measurement(made) {
  const took = Date.parse(made.finishedAt) - Date.parse(made.startedAt);
  return el("div", { class: "measured" },
    el("div", { class: "line" }, pill(made.outcome.phase), el("span", {}, made.target ? cloudName(made.target) : "all clouds"),
      el("span", {}, `${took} ms`), time(made.startedAt), made.outcome.why && el("span", {}, made.outcome.why)),
    evidence(made.evidence));
}

function evidence(found) {
  if (found.kind === "command") return [el("p", { class: "checks" }, el("code", {}, `$ ${found.run}`), ` ended with ${found.exit ?? "no exit code"}`), checklist(found.checks ?? []), el("pre", {}, found.output)];
  if (found.kind === "load") return load(found);
  if (found.kind === "parity") return parity(found);
  if (found.kind === "metric") return metric(found);
  if (found.kind !== "http") return [];
  const checks = checklist(found.checks);
  const answer = found.answer ? `${found.answer.status} in ${found.answer.latencyMs} ms\n${found.answer.body}${found.answer.isCut ? "…" : ""}` : "no answer";
  const earlier = (found.earlier ?? []).flatMap((step) => evidence({ kind: "http", ...step }));
  const kept = Object.entries(found.captured ?? {}).map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
  const captured = kept.length > 0 && el("p", { class: "checks" }, `captured ${kept.join(", ")}`);
  return [...earlier, checks, el("pre", {}, `${found.request.method} ${found.request.url}\n→ ${answer}`), captured];
}

function checklist(checks) {
  return el("ul", { class: "checks" }, checks.map((check) => el("li", { class: check.passed ? "yes" : "no" },
    `${check.passed ? "✓" : "✗"} ${check.what}: wanted ${check.wanted}, got ${check.got}`)));
}

function table(heads, rows) {
  return el("table", {}, el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell) => el("td", {}, String(cell)))))));
}

function load(found) {
  const ms = (value) => `${value} ms`;
  const figures = table(["Rate", "Answered", "p50", "p95", "p99", "Longest", "Wrong", "Sent late", "Never sent"],
    [[`${found.rate}/s`, `${found.achieved}/s`, ms(found.p50Ms), ms(found.p95Ms), ms(found.p99Ms), ms(found.maxMs),
      `${found.errors} of ${found.count}`, found.late, found.unsent]]);
  const reasons = Object.entries(found.reasons).map(([why, count]) => `${count} × ${why}`).join("\n");
  const ramp = found.rampCount > 0 ? `\nramp: ${found.rampCount} requests, ${found.rampErrors} wrong, not judged` : "";
  return [checklist(found.checks), figures,
    el("pre", {}, `${found.requests.join("\n")}${ramp}\nat most ${found.maxInFlight} at once, ${found.inFlight} were${reasons && `\n${reasons}`}`)];
}

function parity(found) {
  const pairs = found.pairs.map((it) => el("li", { class: it.different === 0 ? "yes" : "no" },
    `${it.different === 0 ? "✓" : "✗"} ${it.one} and ${it.other}: ${it.different} of ${it.compared} differ`));
  const notes = found.notes.map((note) => el("li", {}, note));
  const shown = found.differences.map((it) => [it.request, it.what, `${it.one.name}: ${it.one.value}`, `${it.other.name}: ${it.other.value}`]);
  const more = found.differenceCount - found.differences.length;
  return [el("ul", { class: "checks" }, pairs, notes), shown.length > 0 && table(["Request", "What", "One", "Other"], shown),
    more > 0 && el("p", {}, `${more} more differences`)];
}

function metric(found) {
  const value = (number) => number ?? "no value";
  const blue = found.baselineQuery ? `\n${found.baselineQuery}\n→ ${value(found.baseline)}` : "";
  return [checklist(found.checks), el("pre", {}, `${found.query}\n→ ${value(found.value)}${blue}`)];
}

function conditions(status) {
  return el("section", { class: "box" }, el("h3", {}, "Conditions"),
    el("ul", { class: "conditions" }, status.conditions.map((it) =>
      el("li", {}, el("span", {}, words(it.type)), el("span", {}, truth(it), " ", time(it.lastTransitionTime)),
        it.message && it.type !== "Ready" && el("span", { class: "message" }, readable(it.message))))));
}

function facts(report) {
  const { spec, status, metadata } = report;
  const functions = spec?.functions.map((it) => `${it.name}: ${it.http ?? it.queue ?? it.schedule ?? ""}`).join("; ");
  const all = [
    ["Newest commit", shortRevision(status.revisions.desired)], ["Live commit", shortRevision(status.revisions.live)],
    ["Runtime", spec?.runtime], ["Source", spec?.source], ["Functions", functions],
    ["Gates", spec?.gates.map((it) => it.name).join(", ")], ["Across", spec?.across], ["Windows", spec?.windows.join("; ")],
    ["Bake", spec && spec.bakeSeconds > 0 && `${spec.bakeSeconds} s`], ["Drift", spec?.drift], ["Generation", String(metadata.generation)],
  ];
  return el("section", { class: "box" }, el("h3", {}, "Asked for"),
    el("dl", { class: "facts" }, all.filter(([, value]) => value).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])));
}

function past(history) {
  const line = (it) => el("tr", {}, el("td", {}, it.id), el("td", {}, pill(it.outcome)), el("td", { class: "mono" }, shortRevision(it.revision)),
    el("td", {}, `${it.trigger} by ${it.actor.username}`), el("td", {}, time(it.endedAt)), el("td", {}, it.message));
  const heads = ["Rollout", "Outcome", "Commit", "Asked", "Ended", ""].map((name) => el("th", { scope: "col" }, name));
  return el("section", {}, el("h3", {}, "History"), el("table", {}, el("thead", {}, el("tr", {}, heads)), el("tbody", {}, history.map(line))));
}
