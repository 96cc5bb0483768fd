// Runs a Node handler under the Lambda Runtime API. Used where aws-lambda-ric is not installed. A handler that went through
// `awslambda.streamifyResponse` writes its answer itself, and each piece goes out as it is written.

import { access } from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function call(method, route, body) {
  return new Promise((resolve, reject) => {
    const options = { host, port, method, agent, path: `/2018-06-01/runtime${route}` };
    const request = http.request(options, (answer) => {
      const chunks = [];
      answer.on("data", (chunk) => chunks.push(chunk));
      answer.on("end", () => resolve({ answer, body: Buffer.concat(chunks).toString() }));
    });
    request.on("error", reject);
    if (body !== undefined) {
      request.setHeader("Content-Type", "application/json");
      request.setHeader("Content-Length", Buffer.byteLength(body));
    }
    request.end(body);
  });
}

const kindOf = (error) => (error instanceof Error ? error.name : typeof error);

function describe(error) {
  const known = error instanceof Error;
  return JSON.stringify({
    errorType: kindOf(error),
    errorMessage: known ? error.message : String(error),
    trace: known && error.stack ? error.stack.split("\n") : [],
  });
}

const streaming = new WeakSet();
const TRAILERS = { type: "Lambda-Runtime-Function-Error-Type", body: "Lambda-Runtime-Function-Error-Body" };

globalThis.awslambda = {
  streamifyResponse(handler) {
    streaming.add(handler);
    return handler;
  },
  HttpResponseStream: {
    from(stream, head) {
      stream.setContentType("application/vnd.awslambda.http-integration-response");
      stream.prelude = Buffer.concat([Buffer.from(JSON.stringify(head)), Buffer.alloc(8)]);
      return stream;
    },
  },
};

// The answer that is written: an HTTP request of ours, and what comes back of it.
function open(id) {
  const headers = {
    "Lambda-Runtime-Function-Response-Mode": "streaming",
    "Content-Type": "application/octet-stream",
    Trailer: Object.values(TRAILERS).join(", "),
  };
  const route = `/2018-06-01/runtime/invocation/${id}/response`;
  const stream = http.request({ host, port, method: "POST", agent: false, path: route, headers });
  const taken = new Promise((resolve, reject) => {
    stream.on("response", (answer) => answer.on("end", resolve).resume());
    stream.on("error", reject);
  });
  taken.catch(() => {});
  stream.setContentType = (kind) => stream.setHeader("Content-Type", kind);
  const write = stream.write.bind(stream);
  stream.write = (chunk, ...rest) => {
    const { prelude } = stream;
    stream.prelude = undefined;
    if (prelude) write(prelude);
    return write(chunk, ...rest);
  };
  return { stream, taken };
}

// What goes wrong is told behind what was written.
async function pass(handler, event, context, id) {
  const { stream, taken } = open(id);
  try {
    await handler(event, stream, context);
  } catch (error) {
    console.error(error);
    stream.addTrailers({
      [TRAILERS.type]: kindOf(error),
      [TRAILERS.body]: Buffer.from(describe(error)).toString("base64"),
    });
    stream.end();
  }
  await taken;
}

async function load(handler) {
  const at = handler.lastIndexOf(".");
  const base = path.resolve(handler.slice(0, at));
  for (const extension of [".mjs", ".js", ".cjs"]) {
    try {
      await access(base + extension);
    } catch {
      continue;
    }
    const module = await import(pathToFileURL(base + extension));
    const name = handler.slice(at + 1);
    const found = module[name] ?? module.default?.[name];
    if (typeof found !== "function") {
      throw new Error(`${handler} is undefined or not exported`);
    }
    return found;
  }
  throw new Error(`Cannot find module '${handler.slice(0, at)}'`);
}

// A handler answers by a promise, or by the callback where it takes one.
function run(handler, event, context) {
  return new Promise((resolve, reject) => {
    const done = (error, value) => (error ? reject(error) : resolve(value));
    Promise.resolve(handler(event, context, done)).then((value) => {
      if (handler.length < 3 || value !== undefined) resolve(value);
    }, reject);
  });
}

let handler;
try {
  handler = await load(process.argv[2]);
} catch (error) {
  console.error(error);
  await call("POST", "/init/error", describe(error));
  process.exit(1);
}

let running;
process.on("uncaughtException", async (error) => {
  console.error(error);
  if (running) await call("POST", `/invocation/${running}/error`, describe(error)).catch(() => {});
  process.exit(1);
});

for (;;) {
  running = undefined;
  const { answer, body } = await call("GET", "/invocation/next");
  if (answer.statusCode !== 200) break;
  const id = answer.headers["lambda-runtime-aws-request-id"];
  const deadline = Number(answer.headers["lambda-runtime-deadline-ms"]);
  const context = {
    awsRequestId: id,
    invokedFunctionArn: answer.headers["lambda-runtime-invoked-function-arn"],
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  };
  running = id;
  const event = body ? JSON.parse(body) : null;
  if (streaming.has(handler)) {
    await pass(handler, event, context, id);
    continue;
  }
  try {
    const value = await run(handler, event, context);
    await call("POST", `/invocation/${id}/response`, JSON.stringify(value ?? null));
  } catch (error) {
    console.error(error);
    await call("POST", `/invocation/${id}/error`, describe(error));
  }
}
