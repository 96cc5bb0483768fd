// The page: a list that the server pages, kept fresh by a stream of changed rows.

import { follow, get, post, token } from "/dashboard/client.js";
import { detail } from "/dashboard/detail.js";
import { ago, cloudName, el, event, head, keyOf, meter, row, shortRevision, tile, words } from "/dashboard/view.js";

const PAGE = 100;
const EVENTS = 40;
const ATTENTION = 12;

const at = (id) => document.getElementById(id);
const filter = { search: "", environment: "", phase: "", ready: "", attention: "" };
const rows = new Map();
const open = new Map();
const page = { start: 0, after: "", next: "", watch: "" };

// === lists ===

function item(data) {
  const key = keyOf(data);
  const place = el("li", { "data-key": key });
  fill(place, data);
  return place;
}

function fill(place, data) {
  const key = keyOf(data);
  const isOpen = open.get(key) === place;
  const button = row(data, isOpen, () => toggle(place, key));
  const before = place.querySelector(":scope > .row");
  if (!before) return place.append(button);
  const hadFocus = document.activeElement === before;
  before.replaceWith(button);
  if (hadFocus) button.focus();
}

async function toggle(place, key) {
  const button = place.querySelector(":scope > .row");
  if (open.get(key) === place) {
    open.delete(key);
    history.replaceState(null, "", location.pathname);
    place.querySelector(":scope > .detail")?.remove();
    button.setAttribute("aria-expanded", "false");
    return;
  }
  for (const other of open.values()) other.querySelector(":scope > .row").click();
  open.set(key, place);
  history.replaceState(null, "", `#${key}`);
  button.setAttribute("aria-expanded", "true");
  await show(place, key);
}

async function show(place, key) {
  const path = `/api/v1/services/${key}`;
  const none = () => null;
  try {
    const [report, rollout, past, why] = await Promise.all([
      get(path), get(`${path}/rollout`).catch(none), get(`${path}/history`, { limit: 8 }).catch(none), get(`${path}/why`).catch(none)]);
    if (open.get(key) !== place) return;
    const shut = new Map([...place.querySelectorAll("details")].map((it) => [it.querySelector("b")?.textContent, it.open]));
    const shown = detail(report, rollout, past?.items ?? [], why, (verb, label) => act(key, verb, label));
    for (const it of shown.querySelectorAll("details")) it.open = shut.get(it.querySelector("b")?.textContent) ?? it.open;
    place.querySelector(":scope > .detail")?.remove();
    place.append(shown);
  } catch (error) { toast(error.message); }
}

const isFiltered = () => Object.values(filter).some(Boolean);

async function load() {
  const asked = JSON.stringify([filter, page.after]);
  try {
    const isFirst = !isFiltered() && !page.after;
    const [list, attention] = await Promise.all([
      get("/api/v1/services", { ...filter, limit: PAGE, continue: page.after }),
      isFirst ? get("/api/v1/services", { attention: true, limit: ATTENTION }) : { items: [] }]);
    if (asked !== JSON.stringify([filter, page.after])) return;
    page.next = list.metadata.continue ?? "";
    page.watch ||= list.metadata.watch;
    put(at("list"), list.items);
    put(at("attention").querySelector("ul"), attention.items);
    at("attention").hidden = attention.items.length === 0;
    at("empty").hidden = list.items.length > 0;
    at("empty").textContent = isFiltered() ? "Nothing fits this filter." : "No services yet. Merge a manifest, and it appears here.";
    at("next").disabled = !page.next;
    at("first").disabled = !page.after;
    at("range").textContent = list.items.length ? `${page.start + 1}–${page.start + list.items.length}` : "";
  } catch (error) {
    if (error.status === 401) return unlock();
    toast(error.message);
  }
}

function put(list, items) {
  const kept = new Map([...list.children].map((place) => [place.dataset.key, place]));
  const places = items.map((data) => {
    rows.set(keyOf(data), data);
    const place = kept.get(keyOf(data));
    if (!place) return item(data);
    fill(place, data);
    return place;
  });
  list.replaceChildren(...(places.length ? [head(), ...places] : []));
  for (const [key, place] of open) if (!place.isConnected) open.delete(key);
}

let reload = 0;
function soon() {
  clearTimeout(reload);
  reload = setTimeout(load, 700);
}

function changed(data) {
  const key = keyOf(data);
  const places = document.querySelectorAll(`li[data-key="${CSS.escape(key)}"]`);
  const before = rows.get(key);
  rows.set(key, data);
  for (const place of places) {
    fill(place, data);
    place.classList.remove("fresh");
    if (before?.phase !== data.phase) requestAnimationFrame(() => place.classList.add("fresh"));
    if (open.get(key) === place) show(place, key);
  }
  const moved = before?.attention !== data.attention || before?.phase !== data.phase;
  if (!places.length || (moved && (isFiltered() || before?.attention !== data.attention))) soon();
}

// === header ===

function summarize(sum) {
  const other = sum.services - sum.ready;
  const unread = sum.sourcesFailing ? `, and ${sum.sourcesFailing} ${sum.sourcesFailing === 1 ? "repository is" : "repositories are"} not read` : "";
  const text = !sum.services ? "No services yet"
    : sum.attention ? `${sum.attention} of ${sum.services} services ${sum.attention === 1 ? "needs" : "need"} a look`
      : other ? `${other} of ${sum.services} services under way` : `All ${sum.services} services are live`;
  at("hero").textContent = text + unread;
  document.title = sum.attention ? `(${sum.attention}) Verdigris` : "Verdigris";
  const pick = (name, value) => ({
    "aria-pressed": String(name ? filter[name] === value : !isFiltered()),
    onclick: () => choose(name ? { [name]: filter[name] === value ? "" : value } : { attention: "", ready: "", phase: "", environment: "", search: "" }),
  });
  const clouds = Object.entries(sum.clouds).map(([name, healths]) => {
    const all = Object.values(healths).reduce((one, other) => one + other, 0);
    return tile(`${cloudName(name)} healthy of ${all}`, healths.Healthy ?? 0, {}, meter(healths));
  });
  at("tiles").replaceChildren(
    tile("services", sum.services, pick()),
    tile("newest commit live", sum.ready, pick("ready", "True")),
    tile("need a look", sum.attention, { ...pick("attention", "true"), class: sum.attention ? "warn" : "" }),
    tile("rolling out", sum.rolling), ...clouds);
  options(at("environment"), "All environments", sum.environments, filter.environment);
  options(at("phase"), "All phases", sum.phases, filter.phase);
  summarize.last = sum;
}

function options(select, all, counts, chosen) {
  if (document.activeElement === select) return;
  const choices = Object.entries(counts).map(([name, count]) => el("option", { value: name }, `${words(name)} (${count})`));
  select.replaceChildren(el("option", { value: "" }, all), ...choices);
  select.value = chosen;
}

function sources(list) {
  const told = list.map((source) => {
    const ready = source.conditions.find((it) => it.type === "SourceReady");
    const isWrong = ready?.status === "False" || source.faults.length > 0;
    const kind = isWrong ? "bad" : ready?.status === "True" ? "good" : "";
    const faults = source.faults.length ? `, ${source.faults.length} fault${source.faults.length > 1 ? "s" : ""}` : "";
    const title = [source.url, ready?.message, ...source.faults].filter(Boolean).join("\n");
    return el("li", { title }, el("span", { class: `dot ${kind}` }), source.name,
      el("code", {}, shortRevision(source.revision) || "not read yet"), faults);
  });
  at("sources").replaceChildren(...told);
}

function linked(state) {
  at("link").className = { live: "good", lost: "bad" }[state] ?? "";
  at("link").querySelector(".text").textContent = { live: "live", lost: "reconnecting", locked: "token needed" }[state];
}

// === acting ===

const ASKS = {
  approve: "The rollout goes on to blue once enough people approved. Your word counts for the plan as it is now.",
  promote: "The wait that is under way ends now: a pause, a soak or the bake. Gates are never skipped.",
  retry: "The release is tried again, with all of its gates.", resume: "The pause, the suspension or the rollback's pin is let go of; what was destroyed comes back.",
  pause: "Nothing more of this rollout begins until somebody resumes. A bake is watched on.",
  pin: "The service stays at what is live, whatever is merged, until somebody unpins it.", unpin: "The newest commit may be rolled out again.",
  override: "This rollout may be promoted outside its windows. Who and why is kept in events and history.",
  reconcile: "The repositories and both clouds are looked at now.", suspend: "No new rollout and no repair until somebody resumes.",
  rollback: "Both clouds go back to the previous release, and stay there until a newer one is asked for.",
  abort: "The rollout ends. Before a promotion blue is not touched; after it, blue goes back on both clouds.",
};

function ask(title, text, withReason, needsReason) {
  const dialog = at("ask");
  const form = dialog.querySelector("form");
  form.reset();
  at("ask-title").textContent = title;
  at("ask-text").textContent = text;
  at("ask-reason").hidden = !withReason;
  form.elements.reason.required = needsReason;
  at("ask-token").hidden = Boolean(token.get());
  form.elements.token.required = !token.get();
  dialog.returnValue = "cancel";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => {
    if (dialog.returnValue !== "go") return done(null);
    if (form.elements.token.value) token.set(form.elements.token.value.trim());
    done(form.elements.reason.value.trim());
  }, { once: true }));
}

async function act(key, verb, label) {
  const reason = await ask(`${label}: ${key}`, ASKS[verb], ["suspend", "abort", "pause", "pin", "override"].includes(verb), ["suspend", "pin", "override"].includes(verb));
  if (reason === null) return;
  await send(`/api/v1/services/${key}/${verb}`, reason ? { reason } : {}, `${label} was taken for ${key}`);
}

async function send(path, body, done) {
  try {
    await post(path, body);
    toast(done);
  } catch (error) {
    if (error.status === 401) token.drop();
    toast(error.message);
  }
}

async function unlock() {
  if (!at("ask").open && (await ask("Verdigris", "Reading takes a token here.", false, false)) !== null) load();
}

let hide = 0;
function toast(text) {
  at("toast").textContent = text;
  at("toast").hidden = false;
  clearTimeout(hide);
  hide = setTimeout(() => { at("toast").hidden = true; }, 6000);
}

// === wiring ===

function choose(change) {
  Object.assign(filter, change);
  Object.assign(page, { start: 0, after: "" });
  at("search").value = filter.search;
  at("environment").value = filter.environment;
  at("phase").value = filter.phase;
  if (summarize.last) summarize(summarize.last);
  return load();
}

let typing = 0;
at("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => choose({ search: at("search").value.trim() }), 180);
});
for (const name of ["environment", "phase"]) at(name).addEventListener("change", () => choose({ [name]: at(name).value }));
at("next").addEventListener("click", () => { Object.assign(page, { start: page.start + PAGE, after: page.next }); load(); });
at("first").addEventListener("click", () => { Object.assign(page, { start: 0, after: "" }); load(); });
at("refresh").addEventListener("click", async () => {
  if ((await ask("Reconcile all", "Every repository is looked at now.", false, false)) !== null) send("/api/v1/reconcile", {}, "Every repository is being looked at");
});
addEventListener("keydown", (key) => {
  const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName ?? "");
  if (key.key === "/" && !isTyping && !at("ask").open) { key.preventDefault(); at("search").focus(); }
  if (key.key === "Escape" && document.activeElement === at("search")) choose({ search: "" });
});
setInterval(() => { for (const it of document.querySelectorAll("time")) it.textContent = ago(it.dateTime); }, 15_000);

function happened(told) {
  at("events").prepend(event(told));
  while (at("events").children.length > EVENTS) at("events").lastChild.remove();
}

const ON = { rows: (list) => list.forEach(changed), summary: summarize, sources, reset: soon };

// A link to one service: `#prod/inventory`.
function arrive() {
  const key = decodeURIComponent(location.hash.slice(1));
  const place = key && document.querySelector(`li[data-key="${CSS.escape(key)}"]`);
  if (place && open.get(key) !== place) toggle(place, key).then(() => place.scrollIntoView({ block: "start" }));
  if (key && !place && filter.search !== key) choose({ search: key }).then(arrive);
}
addEventListener("hashchange", arrive);

await load();
arrive();
get("/api/v1/summary").then(summarize, () => {});
get("/api/v1/sources").then((list) => sources(list.items), () => {});
const recent = await get("/api/v1/events", { limit: EVENTS }).catch(() => ({ items: [], next: 0 }));
recent.items.forEach(happened);
follow("/api/v1/watch", () => ({ since: page.watch }), (name, data) => ON[name]?.(data), linked);
follow("/api/v1/events", () => ({ after: recent.next }), (_, told) => happened(told), () => {});
