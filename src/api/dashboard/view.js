// Builds what is seen, out of elements and text; never out of markup that came from elsewhere.

export function el(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

// Moments in a sentence, by the reader's own clock.
export function readable(text) {
  return (text ?? "").replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, (moment) => {
    const at = new Date(moment);
    const isToday = at.toDateString() === new Date().toDateString();
    return isToday ? at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }) : at.toLocaleString();
  });
}

// A link only where it leads to the web.
export function link(address) {
  const leads = /^https?:\/\//i.test(address);
  return leads ? el("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, address) : el("span", {}, address);
}

export const keyOf = (row) => `${row.environment}/${row.name}`;

const TONES = {
  good: ["Live", "Successful", "True"],
  bad: ["Rejected", "RolledBack", "RollingBack", "Stalled", "Invalid", "Drifted", "Failed", "Error", "False"],
  wait: ["AwaitingApproval", "Paused", "Pinned", "Suspended", "Destroyed", "CloudUnknown", "Inconclusive", "Superseded"],
  move: ["Queued", "Building", "Staging", "Gating", "Shifting", "Promoting", "Baking", "Pending", "Destroying", "Removing", "Running"],
};

export const tone = (word) => Object.keys(TONES).find((name) => TONES[name].includes(word)) ?? "calm";
export const words = (name) => name.replace(/([a-z])([A-Z])/g, (_, before, after) => `${before} ${after.toLowerCase()}`);
export const pill = (word) => el("span", { class: `pill ${tone(word)}` }, words(word));

// A truth, good or bad by what it is the truth of.
export function truth(condition) {
  const isTrouble = ["Stalled", "DriftDetected", "PrunePending"].includes(condition.type);
  const isWork = condition.type === "Reconciling";
  const good = condition.status === "True" ? "good" : "bad";
  const kind = condition.status === "Unknown" ? "wait" : isTrouble ? "bad" : isWork ? "move" : good;
  return el("span", { class: `pill ${kind}` }, words(condition.reason));
}

export function ago(moment) {
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(moment)) / 1000));
  if (seconds < 5) return "now";
  if (seconds < 90) return `${seconds} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 130_000) return `${Math.round(seconds / 3600)} h ago`;
  return new Date(moment).toLocaleDateString();
}

export const time = (moment) => el("time", { datetime: moment, title: new Date(moment).toLocaleString() }, ago(moment));

export function shortRevision(revision) {
  const [reference, commit = ""] = (revision ?? "").split("@sha1:");
  return commit ? `${reference}@${commit.slice(0, 7)}` : reference;
}

export function slot(color, slot) {
  const said = { empty: "empty", unknown: "not seen", torn: "torn" }[slot.state];
  const text = said ?? slot.revision ?? slot.release ?? "";
  const title = `${color}: ${slot.release ?? said ?? ""}`;
  return el("span", { class: `slot ${color} ${slot.state}`, title }, el("span", { class: "hidden" }, `${color} `), text);
}

const CLOUDS = { aws: "AWS", azure: "Azure" };
export const cloudName = (cloud) => CLOUDS[cloud] ?? cloud;

function cloud(name, target) {
  if (!target) return el("span", { class: "cloud" });
  const ill = target.health !== "Healthy" && target.health !== "Missing";
  return el("span", { class: "cloud" },
    el("span", { class: "hidden" }, cloudName(name)),
    slot("blue", target.blue),
    slot("green", target.green),
    ill && el("span", { class: "ill" }, target.health === "Unknown" ? "cannot be seen" : target.health.toLowerCase()));
}

// What the columns mean; every line also says it by itself to those who cannot see it.
export function head() {
  const names = ["Service", "Phase", "AWS", "Azure"].map((name) => el("span", {}, name));
  return el("li", { class: "row head", "aria-hidden": "true" }, names, el("span", { class: "why" }, "Why"));
}

const COUNTED = ["Gating", "Paused", "AwaitingApproval", "Rejected", "RolledBack"];

// One line of a list: a button that opens the rest.
export function row(data, isOpen, toggle) {
  const isCounted = data.gates.total && COUNTED.includes(data.phase);
  const gates = isCounted ? `${data.gates.passed} of ${data.gates.total} gates` : "";
  return el("button", { class: "row", type: "button", "aria-expanded": String(isOpen), onclick: toggle },
    el("span", { class: "name" }, data.name, el("small", {}, data.environment)),
    el("span", {}, pill(data.phase), gates && el("small", { class: "gates" }, gates)),
    cloud("aws", data.targets.aws),
    cloud("azure", data.targets.azure),
    el("span", { class: "why", title: readable(data.why) }, readable(data.why)));
}

export function tile(label, value, given = {}, ...more) {
  return el(given.onclick ? "button" : "div", { ...given, class: `tile ${given.class ?? ""}`, type: given.onclick && "button" },
    el("b", {}, String(value)), el("span", {}, label), ...more);
}

// Healthy, ill and unseen targets of a cloud, as parts of a line.
export function meter(healths) {
  const parts = [["", healths.Healthy], ["bad", (healths.Degraded ?? 0) + (healths.Missing ?? 0)], ["unknown", healths.Unknown]];
  const bar = el("span", { class: "meter", "aria-hidden": "true" });
  for (const [kind, count] of parts) {
    if (!count) continue;
    const part = el("i", { class: kind });
    part.style.flexGrow = String(count);
    bar.append(part);
  }
  return bar;
}

export function event(told) {
  return el("li", { class: told.severity },
    el("small", {}, el("span", {}, told.service ?? "daemon"), time(told.time)),
    el("span", {}, readable(told.message)));
}
