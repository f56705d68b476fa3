// What docs/api.md advises to users of the AI SDK.
export const once = (call) => async (url, init) => {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(call + init.body));
  const headers = { ...init.headers, "Idempotency-Key": Buffer.from(digest).toString("hex") };
  return fetch(url, { ...init, headers });
};
