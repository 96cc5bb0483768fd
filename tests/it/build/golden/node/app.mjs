// Shows what it was sent, and misbehaves when asked to.

import { appendFileSync } from 'node:fs';

const echo = async (request) => {
  const lines = [`${request.method} ${request.url.slice(request.url.indexOf('/', 8))}`];
  for (const [name, value] of request.headers) lines.push(`${name}: ${value}`);
  return Buffer.concat([Buffer.from(`${lines.join('\n')}\n\n`, 'latin1'), Buffer.from(await request.arrayBuffer())]);
};

const text = { 'content-type': 'text/plain' };

async function* pieces(piece, count) {
  for (let sent = 0; sent < count; sent += 1) yield piece;
}

export const answer = async (request) => {
  switch (new URL(request.url).pathname) {
    case '/cookies': {
      const headers = new Headers(text);
      headers.append('Set-Cookie', 'a=1; Path=/');
      headers.append('set-cookie', 'b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT');
      headers.append('X-Many', '1');
      headers.append('x-many', '2');
      return new Response('two', { headers });
    }
    case '/binary':
      return new Response(Uint8Array.from({ length: 256 }, (_, index) => index), { headers: { 'content-type': 'application/octet-stream' } });
    case '/large':
      return new Response(pieces('0123456789abcdef'.repeat(4096), 32), { headers: text });
    case '/untyped':
      return new Response(Buffer.from('what is it'));
    case '/nothing':
      return new Response();
    case '/created':
      return new Response('made', { status: 201, headers: { ...text, location: '/made/%2Fx' } });
    case '/gone':
      return new Response(null, { status: 204 });
    case '/latin':
      return new Response('ok', { headers: { ...text, 'x-name': 'caf\xe9' } });
    case '/unicode':
      return new Response('a\u2028\u{1f600}"\\\0\x7f', { headers: { 'content-type': 'text/plain; charset=utf-8' } });
    case '/error':
      return new Response('later', { status: 503, headers: text });
    case '/boom':
      throw new Error('a secret detail');
    default:
      return new Response(await echo(request), { headers: text });
  }
};

export default {
  async fetch(request) {
    const seen = await echo(request);
    appendFileSync(process.env.SEEN, Buffer.concat([seen, Buffer.from('\n---\n')]));
    return new Response(null, { status: seen.includes('bad') ? 500 : 200 });
  },
};
