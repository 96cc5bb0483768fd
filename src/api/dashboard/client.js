// Speaks to the API. Everything that comes back is data: it is only ever shown as text.

const KEPT = "verdigris-token";

export const token = {
  get: () => sessionStorage.getItem(KEPT) ?? "",
  set: (value) => sessionStorage.setItem(KEPT, value),
  drop: () => sessionStorage.removeItem(KEPT),
};

function headers(more = {}) {
  return token.get() ? { ...more, authorization: `Bearer ${token.get()}` } : more;
}

// The title and detail of a problem document, or what there is instead.
async function problem(response) {
  const told = await response.json().catch(() => ({}));
  const error = new Error(told.detail ?? `the daemon answered ${response.status}`);
  error.status = response.status;
  return error;
}

export async function get(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value != null && value !== false);
  const search = given.length ? `?${new URLSearchParams(given)}` : "";
  const response = await fetch(path + search, { headers: headers({ accept: "application/json" }) });
  if (!response.ok) throw await problem(response);
  return response.json();
}

export async function post(path, body = {}) {
  const response = await fetch(path, {
    method: "POST",
    headers: headers({ "content-type": "application/json" }),
    body: JSON.stringify(body),
  });
  if (!response.ok) throw await problem(response);
  return response.json();
}

// A stream that comes back by itself. `fetch` rather than EventSource, which could not send a token.
export async function follow(path, query, on, state) {
  let last = "";
  let wait = 500;
  for (;;) {
    try {
      const ask = headers({ accept: "text/event-stream" });
      if (last) ask["last-event-id"] = last;
      const response = await fetch(`${path}?${new URLSearchParams(last ? {} : query())}`, { headers: ask, cache: "no-store" });
      if (!response.ok) throw await problem(response);
      state("live");
      wait = 500;
      for await (const event of events(response.body)) {
        if (event.id) last = event.id;
        if (event.data) on(event.name, JSON.parse(event.data));
      }
    } catch (error) {
      if (error.status === 401) state("locked");
    }
    state("lost");
    await new Promise((done) => setTimeout(done, wait));
    wait = Math.min(wait * 2, 10_000);
  }
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const parts = text.split("\n\n");
    text = parts.pop();
    for (const part of parts) yield parse(part);
  }
}

function parse(part) {
  const event = { name: "message", data: "", id: "" };
  for (const line of part.split("\n")) {
    const [, field, value] = /^([^:]*): ?(.*)$/.exec(line) ?? [];
    if (field === "event") event.name = value;
    if (field === "id") event.id = value;
    if (field === "data") event.data += value;
  }
  return event;
}
