// Texts for people. Whatever comes from a client, from PHP or from a proxy goes through printable().

// C0 and C1 controls, bidi controls, separators and other characters without a picture, and half
// pairs. They are shown as escapes, as by phpgw's command line.
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu;
// As above, but lines stay lines.
const UNPRINTABLE_IN_LINES = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu;
// Joiners that belong to emoji and to some scripts.
const HARMLESS = new Set(["\u200c", "\u200d"]);
const MAX_SHOWN = 20000;

export function printable(text, { lines = false } = {}) {
  const whole = String(text);
  const shown = whole.length > MAX_SHOWN ? `${whole.slice(0, MAX_SHOWN)} … (${count(whole.length)} characters)` : whole;
  return shown.replace(lines ? UNPRINTABLE_IN_LINES : UNPRINTABLE, escaped);
}

function escaped(character) {
  if (HARMLESS.has(character)) return character;
  const code = character.codePointAt(0);
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, "0")}` : `\\U${code.toString(16).padStart(8, "0")}`;
}

export function count(number) {
  return Math.round(number).toLocaleString("en");
}

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

export function rate(number) {
  return number > 0 && number < 10 ? number.toFixed(1) : count(number);
}

export function milliseconds(number) {
  if (number === null || number === undefined) return "";
  if (number < 10) return `${number.toFixed(1)} ms`;
  return number < 10000 ? `${count(number)} ms` : `${(number / 1000).toFixed(1)} s`;
}

export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString("en-GB");
}

export function moment(iso) {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? printable(iso) : `${date.toLocaleDateString("en-CA")} ${date.toLocaleTimeString("en-GB")}`;
}

export function since(iso) {
  const seconds = Math.max(0, (Date.now() - new Date(iso).getTime()) / 1000);
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86400)} d`;
}
