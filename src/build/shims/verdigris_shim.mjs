// Runs the fetch handlers of a Verdigris package on AWS Lambda and on Azure Functions.
//
// On Lambda, `handler` takes the events of a function URL, of SQS and of EventBridge. On Azure, this file is a program that
// serves the Functions host on FUNCTIONS_CUSTOMHANDLER_PORT. Both ways lead through the same `Shim.answer` and
// `Shim.deliver`, so that a handler cannot tell the clouds apart. Needs Node 20 and nothing else. Where VERDIGRIS_HTTP asks
// for `stream`, answers to requests are passed on as they are made, by what Lambda's own runtime has for that.

import { readFileSync, realpathSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const FILE = fileURLToPath(import.meta.url);
const ROOT = path.dirname(FILE);
const RELEASE = process.env.VERDIGRIS_RELEASE ?? '';
// Only events have paths that begin so: a client's request to one of them is not found.
const EVENTS = '/.verdigris/';
const HOP_BY_HOP = new Set([
  'connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection', 'te', 'trailer',
  'transfer-encoding', 'upgrade',
]);
const BODILESS = new Set([204, 205, 304]);
const HEAD_MAX = 64 * 1024;
const BODY_MAX = 100 * 1024 * 1024;
// Set by whatever stands between a client and this program on Azure; the host's own invocations carry none of them.
const CLIENT_MARKS = ['x-forwarded-for', 'x-original-url', 'x-arr-log-id', 'disguised-host'];

// === The same on both clouds ===

/** Leaves a raw path or query as it is, except for what could not have been sent so. */
const visible = (text) => text.replace(/[^!-~]+/g, (part) => encodeURIComponent(part.toWellFormed?.() ?? part));

/** A header's value as a string of bytes, which is what Node sends. */
const latin1 = (value) => (/[^\0-\xff]/.test(value) ? Buffer.from(value, 'utf8').toString('latin1') : value);

/** A request as the handler is to see it, whichever cloud it came through. */
class Incoming {
  constructor(method, rawPath, query, pairs, body) {
    this.method = method;
    this.path = visible(rawPath) || '/';
    this.query = visible(query);
    this.body = body;
    this.headers = new Map();
    for (const [given, value] of pairs) {
      const name = given.toLowerCase();
      if (HOP_BY_HOP.has(name) || name === 'content-length' || name === 'expect') continue;
      const known = this.headers.get(name);
      const glue = name === 'cookie' ? '; ' : ',';
      this.headers.set(name, known === undefined ? value : known + glue + value);
    }
    if (body.length > 0 || ['POST', 'PUT', 'PATCH'].includes(method)) {
      this.headers.set('content-length', String(body.length));
    }
  }

  /** The handler's own kind of request. Its `url` is what the client sent, where the URL parser would write it otherwise. */
  toRequest() {
    const told = this.headers.get('x-forwarded-proto');
    const scheme = told === 'http' || told === 'https' ? told : 'https';
    const host = this.headers.get('host') ?? 'localhost';
    const raw = `${scheme}://${host}${this.path}${this.query === '' ? '' : `?${this.query}`}`;
    const url = URL.canParse(raw) ? raw : `${scheme}://localhost/`;
    const headers = new Headers();
    for (const [name, value] of this.headers) headers.set(name, latin1(value));
    const bodiless = this.method === 'GET' || this.method === 'HEAD' || this.body.length === 0;
    const request = new Request(url, { method: this.method, headers, body: bodiless ? undefined : this.body });
    if (request.url !== raw) Object.defineProperty(request, 'url', { value: raw });
    return request;
  }
}

/** What goes back: header names in lower case and once each, cookies apart. */
class Outgoing {
  constructor(status, pairs, cookies, body, method) {
    this.status = status;
    this.cookies = cookies;
    this.headers = {};
    for (const [name, value] of pairs) {
      if (!HOP_BY_HOP.has(name) && name !== 'set-cookie' && name !== 'content-length') this.headers[name] = value;
    }
    this.body = method === 'HEAD' || BODILESS.has(status) ? Buffer.alloc(0) : body;
    if (this.body.length > 0) this.headers['content-type'] ??= 'application/octet-stream';
    this.headers['x-verdigris-release'] = RELEASE;
  }

  static plain(status, text, method, extra = []) {
    const pairs = [['content-type', 'text/plain; charset=utf-8'], ...extra];
    return new Outgoing(status, pairs, [], Buffer.from(`${text}\n`), method);
  }

  static async of(response, method, read = () => response.arrayBuffer()) {
    if (!(response instanceof Response) || response.status < 200) {
      throw new TypeError('the handler must return a Response');
    }
    const body = Buffer.from(await read());
    return new Outgoing(response.status, response.headers, response.headers.getSetCookie(), body, method);
  }

  /** Leaves a body that a client is to see unread, as `flow`. */
  static async begun(response, method) {
    if (method === 'HEAD' || BODILESS.has(response?.status) || !response?.body) return Outgoing.of(response, method);
    const outgoing = await Outgoing.of(response, method, () => []);
    outgoing.headers['content-type'] ??= 'application/octet-stream';
    outgoing.flow = response.body;
    return outgoing;
  }
}

const isName = (segment) => segment.startsWith('{') && segment.endsWith('}');
const isRest = (segment) => isName(segment) && segment.endsWith('+}');
const kind = (segment) => (isRest(segment) ? 2 : isName(segment) ? 1 : 0);
const bytes = (text) => Buffer.from(text, 'utf8').toString('latin1');
/** What is not a proper escape stays as it is. */
const decodePercent = (text) =>
  text.replace(/%([0-9a-fA-F]{2})/g, (_, digits) => String.fromCharCode(parseInt(digits, 16)));

class Route {
  constructor(name, { methods, path: pattern }) {
    this.name = name;
    this.methods = methods;
    this.segments = pattern.slice(1).split('/');
  }

  /** Sorts literal segments before names, and names before the rest of a path. */
  static compare(a, b) {
    const shared = Math.min(a.segments.length, b.segments.length);
    for (let index = 0; index < shared; index += 1) {
      const difference = kind(a.segments[index]) - kind(b.segments[index]);
      if (difference !== 0) return difference;
    }
    return a.segments.length - b.segments.length || (a.name < b.name ? -1 : 1);
  }

  matches(rawPath) {
    const given = rawPath.slice(1).split('/');
    for (const [index, wanted] of this.segments.entries()) {
      if (isRest(wanted)) return given.slice(index).join('') !== '';
      if (index >= given.length) return false;
      if (isName(wanted) ? given[index] === '' : decodePercent(given[index]) !== bytes(wanted)) return false;
    }
    return given.length === this.segments.length;
  }
}

/** What verdigris.json says. */
class Package {
  constructor(root) {
    const { functions } = JSON.parse(readFileSync(path.join(root, 'verdigris.json'), 'utf8'));
    this.functions = new Map(Object.entries(functions));
    this.routes = [...this.functions]
      .filter(([, entry]) => entry.http)
      .map(([name, entry]) => new Route(name, entry.http))
      .sort(Route.compare);
  }

  /** The function that answers, or the methods that would have been right for this path. */
  find(method, rawPath, only) {
    const allowed = new Set();
    if (rawPath.startsWith(EVENTS)) return { allowed };
    for (const route of this.routes) {
      if ((only === undefined || route.name === only) && route.matches(rawPath)) {
        if (route.methods.length === 0 || route.methods.includes(method)) return { name: route.name, allowed };
        route.methods.forEach((known) => allowed.add(known));
      }
    }
    return { allowed };
  }

  /** The function and the kind of trigger that an Azure function of this name stands for. */
  invoked(folder) {
    const [name, suffix] = folder.split(/_(.*)/s);
    const entry = this.functions.get(name);
    if (entry === undefined) return undefined;
    const kinds = ['http', 'queue', 'schedule'].filter((trigger) => entry[trigger]);
    const trigger = suffix ?? kinds[0];
    return trigger !== 'http' && kinds.includes(trigger) ? { name, trigger } : undefined;
  }
}

class Shim {
  constructor() {
    this.package = new Package(ROOT);
  }

  /** Loaded at the first request, so that one broken handler does not take the others with it. */
  async load(name) {
    const [file, exported = 'default'] = this.package.functions.get(name).handler.split(/:(.*)/s);
    const module = await import(pathToFileURL(path.join(ROOT, file)).href);
    const found = module[exported];
    if (typeof found === 'function') return found;
    if (typeof found?.fetch === 'function') return found.fetch.bind(found);
    throw new TypeError(`${file} exports no function and no object with fetch as ${exported}`);
  }

  /** What the client is told of a failure says nothing about its cause: that goes to the log. */
  async run(name, incoming, take = Outgoing.of) {
    try {
      const handle = await this.load(name);
      return await take(await handle(incoming.toRequest()), incoming.method);
    } catch (error) {
      console.error(error);
      return Outgoing.plain(500, 'internal server error', incoming.method);
    }
  }

  async answer(incoming, only, take) {
    const { name, allowed } = this.package.find(incoming.method, incoming.path, only);
    if (name !== undefined) return this.run(name, incoming, take);
    if (allowed.size > 0) {
      const allow = [['allow', [...allowed].sort().join(', ')]];
      return Outgoing.plain(405, 'method not allowed', incoming.method, allow);
    }
    return Outgoing.plain(404, 'not found', incoming.method);
  }

  /** Posts a CloudEvent, with a text or bytes, to the handler; true when it took it. */
  async deliver(name, attributes, text = '') {
    const body = Buffer.from(text, 'utf8');
    const told = Object.entries({ ...attributes, specversion: '1.0' }).filter(([, value]) => value);
    const pairs = told.map(([key, value]) => [`ce-${key}`, visible(String(value))]);
    if (body.length > 0) pairs.push(['content-type', contentType(text)]);
    pairs.push(['host', 'localhost']);
    const answer = await this.run(name, new Incoming('POST', `${EVENTS}events/${name}`, '', pairs, body));
    return answer.status < 300;
  }

  message(name, queue, text, { id, time, deliverycount }) {
    const attributes = { id, source: `/queues/${queue}`, time, type: 'dev.verdigris.queue.message', deliverycount };
    return this.deliver(name, attributes, text);
  }

  schedule(name, { id, time }) {
    return this.deliver(name, { id, source: `/schedules/${name}`, time, type: 'dev.verdigris.schedule' });
  }
}

const contentType = (text) => {
  try {
    JSON.parse(text);
    return 'application/json';
  } catch {
    return 'text/plain; charset=utf-8';
  }
};

const moment = (millis) => {
  const at = new Date(Number(millis ?? NaN));
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString();
};

/** None where a text is no JSON, or no object. */
const parseObject = (body) => {
  try {
    const value = JSON.parse(body.toString());
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
};

// === AWS ===

const topicEvent = ({ TopicArn, MessageId, Timestamp, Message }) => {
  const source = `/topics/${TopicArn?.split(':').at(-1)}`;
  return [{ id: MessageId, source, time: Timestamp, type: 'dev.verdigris.topic.message' }, Message ?? ''];
};

const bucketEvent = (record) => {
  const { bucket, object } = record.s3 ?? {};
  const id = `${object?.key ?? ''}@${object?.sequencer ?? ''}`;
  const source = `/buckets/${bucket?.name ?? ''}`;
  return [{ id, source, time: record.eventTime, type: 'dev.verdigris.bucket.change' }, JSON.stringify(record)];
};

const streamEvent = (record) => {
  const { eventID: id, eventSourceARN, kinesis, dynamodb } = record;
  const source = `/streams/${eventSourceARN?.split('/')[1] ?? ''}`;
  const at = kinesis?.approximateArrivalTimestamp ?? dynamodb?.ApproximateCreationDateTime;
  const time = at === undefined ? undefined : moment(at * 1000);
  const body = kinesis ? Buffer.from(kinesis.data ?? '', 'base64') : JSON.stringify(record);
  return [{ id, source, time, type: 'dev.verdigris.stream.record' }, body];
};

class Lambda {
  constructor() {
    this.shim = new Shim();
    this.name = process.env.VERDIGRIS_FUNCTION ?? '';
  }

  async handle(event) {
    if (event?.requestContext?.http) return this.http(event);
    const [first] = event?.Records ?? [];
    const source = first?.eventSource ?? first?.EventSource;
    if (source === 'aws:sqs') return this.messages(event.Records);
    if (source === 'aws:sns' || source === 'aws:s3') return this.announced(event.Records);
    if (source === 'aws:kinesis' || source === 'aws:dynamodb') return this.stream(event.Records);
    if (event?.['detail-type'] !== undefined) return this.schedule(event);
    throw new Error('an event of a kind that Verdigris does not pass on');
  }

  async http(event) {
    return Lambda.payload(await this.shim.answer(Lambda.incoming(event), this.name));
  }

  /** Passes an answer on as it is made. */
  async pass(event, stream) {
    const answer = await this.shim.answer(Lambda.incoming(event), this.name, Outgoing.begun);
    const { status: statusCode, headers, cookies, body, flow } = answer;
    const out = awslambda.HttpResponseStream.from(stream, { statusCode, headers, cookies });
    // The head goes with the first write: without one it would be lost.
    out.write(body);
    if (flow) await copy(flow, out);
    out.end();
  }

  static incoming(event) {
    const { method } = event.requestContext.http;
    const body = Buffer.from(event.body ?? '', event.isBase64Encoded ? 'base64' : 'utf8');
    const cookies = (event.cookies ?? []).map((cookie) => ['cookie', cookie]);
    const told = Object.entries(event.headers ?? {});
    const pairs = cookies.length > 0 ? told.filter(([name]) => name.toLowerCase() !== 'cookie') : told;
    const query = event.rawQueryString ?? '';
    return new Incoming(method, event.rawPath ?? '/', query, [...pairs, ...cookies], body);
  }

  static payload({ status, headers, cookies, body }) {
    const text = body.toString('utf8');
    const isBase64Encoded = !Buffer.from(text, 'utf8').equals(body);
    return { statusCode: status, headers, cookies, body: isBase64Encoded ? body.toString('base64') : text, isBase64Encoded };
  }

  /** Says which messages failed. A queue that keeps an order is not to see a later message before them. */
  async messages(records) {
    const batchItemFailures = [];
    for (const record of records) {
      const held = record.eventSourceARN?.endsWith('.fifo') && batchItemFailures.length > 0;
      if (held || !(await this.message(record))) batchItemFailures.push({ itemIdentifier: record.messageId });
    }
    return { batchItemFailures };
  }

  message({ messageId, attributes, body, eventSourceARN }) {
    const queue = this.shim.package.functions.get(this.name)?.queue ?? eventSourceARN?.split(':').at(-1);
    const about = { id: messageId, time: moment(attributes?.SentTimestamp), deliverycount: attributes?.ApproximateReceiveCount };
    return this.shim.message(this.name, queue, body ?? '', about);
  }

  /** Lambda tries again what fails as a whole. */
  async announced(records) {
    for (const record of records) {
      const [attributes, body] = record.Sns ? topicEvent(record.Sns) : bucketEvent(record);
      if (!(await this.shim.deliver(this.name, attributes, body))) throw new Error('the handler did not accept the event');
    }
    return null;
  }

  /** A stream keeps its order: Lambda comes again from the first that failed. */
  async stream(records) {
    for (const record of records) {
      const [attributes, body] = streamEvent(record);
      if (await this.shim.deliver(this.name, attributes, body)) continue;
      const itemIdentifier = record.kinesis?.sequenceNumber ?? record.dynamodb?.SequenceNumber;
      return { batchItemFailures: [{ itemIdentifier }] };
    }
    return { batchItemFailures: [] };
  }

  async schedule(event) {
    if (!(await this.shim.schedule(this.name, event))) throw new Error('the handler did not accept the scheduled event');
    return null;
  }
}

let lambda;

const whole = async (event) => {
  lambda ??= new Lambda();
  return lambda.handle(event);
};

const streamed = async (event, stream, context) => {
  // Else the next event would wait until nothing runs that the handler has left behind.
  context.callbackWaitsForEmptyEventLoop = false;
  if (event?.requestContext?.http) {
    lambda ??= new Lambda();
    return lambda.pass(event, stream);
  }
  const told = await whole(event).catch(fail);
  stream.setContentType('application/json');
  stream.write(JSON.stringify(told));
  stream.end();
};

/** An answer that is passed on cannot say that an event has failed. A process that ends by an error can, and Lambda starts another. */
const fail = (error) => new Promise(() => { setImmediate(() => { throw error; }); });

/** What goes wrong in the middle is told in the log, and to the client without the reason. */
const copy = async (flow, out) => {
  try {
    for await (const piece of flow) {
      if (!(piece instanceof Uint8Array)) throw new TypeError('a piece of the body is no Uint8Array');
      if (!out.write(Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength))) await drained(out);
    }
  } catch (error) {
    console.error(error);
    throw Object.assign(new Error('the answer broke off'), { name: 'Verdigris.Shim', stack: '' });
  }
};

const drained = (out) => new Promise((resolve) => {
  const names = ['drain', 'error', 'close'];
  const done = () => {
    names.forEach((name) => out.off(name, done));
    resolve();
  };
  names.forEach((name) => out.on(name, done));
});

const asked = parseObject(process.env.VERDIGRIS_HTTP ?? '')?.stream === true;
const able = typeof globalThis.awslambda?.streamifyResponse === 'function';
if (asked && !able) console.error('this runtime passes no answers on as they are made: they go in one piece');

export const handler = asked && able ? awslambda.streamifyResponse(streamed) : whole;

// === Azure ===

class TooLarge extends Error {}

const readBody = async (message) => {
  const chunks = [];
  let size = 0;
  for await (const chunk of message) {
    size += chunk.length;
    if (size > BODY_MAX) throw new TooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
};

const pairsOf = ({ rawHeaders }) => {
  const pairs = [];
  for (let index = 0; index < rawHeaders.length; index += 2) pairs.push([rawHeaders[index], rawHeaders[index + 1]]);
  return pairs;
};

/** Metadata may be JSON inside JSON. */
const unquoted = (value) => (typeof value === 'string' ? value.replace(/^"(.*)"$/s, '$1') : value);

/** The host hands a message over as JSON text in a string; a message that is a text itself is quoted twice. */
const messageText = (value) => {
  if (typeof value !== 'string') return value == null ? '' : JSON.stringify(value);
  try {
    const inner = JSON.parse(value);
    return typeof inner === 'string' ? inner : value;
  } catch {
    return value;
  }
};

class Host {
  constructor() {
    this.shim = new Shim();
  }

  serve(port) {
    // The host keeps connections for as long as it likes.
    const patient = { keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 };
    const options = { ...patient, maxHeaderSize: HEAD_MAX, requireHostHeader: false };
    const server = http.createServer(options, (message, reply) => this.exchange(message, reply));
    process.once('SIGTERM', () => {
      server.close();
      server.closeIdleConnections();
    });
    server.listen(port, '127.0.0.1');
  }

  async exchange(message, reply) {
    try {
      Host.send(reply, await this.answer(message, await readBody(message)));
    } catch (error) {
      if (!(error instanceof TooLarge)) console.error(error);
      const [status, text] = error instanceof TooLarge ? [413, 'the request is too large'] : [500, 'internal server error'];
      reply.shouldKeepAlive = false;
      Host.send(reply, Outgoing.plain(status, text, message.method));
    }
  }

  static send(reply, { status, headers, cookies, body }) {
    reply.sendDate = false;
    reply.statusCode = status;
    for (const [name, value] of Object.entries(headers)) reply.setHeader(name, latin1(value));
    if (cookies.length > 0) reply.setHeader('set-cookie', cookies);
    if (reply.req.method !== 'HEAD' && status !== 204 && status !== 304) reply.setHeader('content-length', body.length);
    reply.end(body);
  }

  async answer(message, body) {
    const target = message.url.startsWith('/') ? message.url : message.url.replace(/^[^/]*\/\/[^/?]*\/?/, '/');
    const [rawPath, query = ''] = target.split(/\?(.*)/s);
    const incoming = new Incoming(message.method, rawPath, query, pairsOf(message), body);
    const invoked = this.invoked(message, incoming);
    return invoked === undefined ? this.shim.answer(incoming) : this.invoke(invoked, message, body);
  }

  /** The host posts events to /<function>. Where a route of ours matches that path as well, only what no client could
   * have sent counts as the host's. */
  invoked(message, incoming) {
    const invoked = incoming.method === 'POST' ? this.shim.package.invoked(incoming.path.slice(1)) : undefined;
    const routed = this.shim.package.find('POST', incoming.path).name !== undefined;
    return routed && CLIENT_MARKS.some((name) => name in message.headers) ? undefined : invoked;
  }

  async invoke({ name, trigger }, message, body) {
    const told = parseObject(body);
    if (told === undefined) return Outgoing.plain(400, 'the invocation is not a JSON object', 'POST');
    const taken = await this.deliver(name, trigger, told, message.headers['x-azure-functions-invocationid']);
    if (!taken) return Outgoing.plain(500, 'the application did not accept the event', 'POST');
    const done = Buffer.from('{"Outputs": {}, "Logs": [], "ReturnValue": null}');
    return new Outgoing(200, [['content-type', 'application/json']], [], done, 'POST');
  }

  deliver(name, trigger, { Data: data, Metadata: metadata }, invocation) {
    const id = unquoted(metadata?.Id) ?? invocation;
    if (trigger === 'schedule') return this.shim.schedule(name, { id, time: metadata?.sys?.UtcNow });
    const { queue } = this.shim.package.functions.get(name);
    const about = { id, time: unquoted(metadata?.InsertionTime), deliverycount: unquoted(metadata?.DequeueCount) };
    return this.shim.message(name, queue, messageText(data?.message), about);
  }
}

const isMain = process.argv[1] !== undefined && realpathSync(process.argv[1]) === realpathSync(FILE);
const port = process.env.FUNCTIONS_CUSTOMHANDLER_PORT;
if (isMain && /^\d+$/.test(port ?? '')) {
  new Host().serve(Number(port));
} else if (isMain) {
  console.error('FUNCTIONS_CUSTOMHANDLER_PORT is not set: the Azure Functions host starts this program');
  process.exitCode = 1;
}
