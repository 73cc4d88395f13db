// A command line that sends an event to PHP as the gateway did, less the client's cookies.

// What a shell or a terminal could take for something else.
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff'!\\]|[\ud800-\udfff](?![\udc00-\udfff])/u;
const EACH_UNSAFE = new RegExp(UNSAFE.source, "gu");

export function curl(event, url) {
  const headers = { "Phpgw-Event": event.type, "Phpgw-Message-Type": "text", "Phpgw-Client-Id": event.client_id, "Phpgw-Event-Id": event.id, "Phpgw-User": event.user };
  const fields = { type: event.type, message: event.message, client_id: event.client_id };
  return [
    `curl ${quoted(url)}`,
    ...Object.entries(headers).filter(([, value]) => value).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
    ...Object.entries(fields).map(([name, value]) => `--data-urlencode ${quoted(`${name}=${value}`)}`),
  ].join(" \\\n  ");
}

// Quotes a text for a shell: bash, zsh and others know $'...' with escapes.
export function quoted(text) {
  return UNSAFE.test(text) ? `$'${text.replace(EACH_UNSAFE, escaped)}'` : `'${text}'`;
}

function escaped(character) {
  return [...new TextEncoder().encode(character)].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
}
