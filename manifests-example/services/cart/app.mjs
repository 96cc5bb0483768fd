// What a cart costs. A plain fetch handler: it needs nothing but Node.

const VERSION = "v1";

const answer = (content, status = 200) =>
  new Response(JSON.stringify({ ...content, version: VERSION }), {
    status,
    headers: { "content-type": "application/json" },
  });

async function total(request) {
  const items = await request.json().catch(() => null);
  const isItem = (item) => Number.isInteger(item?.cents) && Number.isInteger(item?.count);
  if (!Array.isArray(items) || !items.every(isItem)) {
    return answer({ error: "send a list of { cents, count }" }, 400);
  }
  return answer({ cents: items.reduce((sum, item) => sum + item.cents * item.count, 0) });
}

export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/version") return answer({ service: "cart" });
    if (pathname === "/cart/total") return total(request);
    return answer({ error: "there is no such thing" }, 404);
  },
};
