// The gateway's API, below /console. The session's cookie goes along by itself.

const HERE = new URL("./", import.meta.url);

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// Tells when the session is over.
export const session = new EventTarget();

// Exchanges a one-time code for a session.
export async function logIn(code) {
  await request("POST", "session", { headers: { "Phpgw-Console-Code": code } });
}

export async function logOut() {
  await request("DELETE", "session");
}

export function get(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const target = given.length ? `${path}?${new URLSearchParams(given)}` : path;
  return request("GET", `api/${target}`);
}

// Runs one command; returns how many clients it reached.
export async function run(command) {
  const headers = { "Content-Type": "application/json" };
  const [result] = await request("POST", "api/commands", { headers, body: JSON.stringify([command]) });
  return result;
}

// Returns the URL of the feed, for one connection.
export async function feedUrl() {
  const { ticket } = await request("POST", "api/feed");
  const url = new URL(`api/feed?${new URLSearchParams({ ticket })}`, HERE);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

async function request(method, path, options = {}) {
  let response;
  try {
    response = await fetch(new URL(path, HERE), { method, ...options });
  } catch {
    throw new ApiError(0, "The gateway does not respond.");
  }
  const text = await response.text();
  let body = null;
  try {
    body = text ? JSON.parse(text) : null;
  } catch {
    throw new ApiError(response.status, "What responds is not the gateway, perhaps a proxy in front of it.");
  }
  if (response.ok) return body;
  if (response.status === 401 && path !== "session") session.dispatchEvent(new Event("end"));
  throw new ApiError(response.status, body?.error ?? `The gateway responds with status ${response.status}.`);
}
