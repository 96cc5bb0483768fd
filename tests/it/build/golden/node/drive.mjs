// A Lambda runtime in a few lines: asks the Runtime API for events and gives them to the handler.

import { handler } from './verdigris_shim.mjs';

const api = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation`;
for (;;) {
  const reply = await fetch(`${api}/next`);
  const event = await reply.json();
  const at = `${api}/${reply.headers.get('lambda-runtime-aws-request-id')}`;
  const post = (kind, body) => fetch(`${at}/${kind}`, { method: 'POST', body: JSON.stringify(body) });
  const done = await handler(event, {}).then((body) => post('response', body), (error) => post('error', { errorMessage: error.message }));
  await done.arrayBuffer();
}
