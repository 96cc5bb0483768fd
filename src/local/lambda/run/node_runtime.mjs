// Runs a Node handler under the Lambda Runtime API. Used where aws-lambda-ric is not installed.

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

function describe(error) {
  const known = error instanceof Error;
  return JSON.stringify({
    errorType: known ? error.name : typeof error,
    errorMessage: known ? error.message : String(error),
    trace: known && error.stack ? error.stack.split("\n") : [],
  });
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

for (;;) {
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
  try {
    const value = await run(handler, body ? JSON.parse(body) : null, context);
    await call("POST", `/invocation/${id}/response`, JSON.stringify(value ?? null));
  } catch (error) {
    console.error(error);
    await call("POST", `/invocation/${id}/error`, describe(error));
  }
}
