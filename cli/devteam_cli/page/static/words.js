// Text, numbers and times as people read them.

// Control sequences of terminals, other controls but for tab and newline, and what turns the direction of text around.
const ESCAPES =
  /\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;

/** `text` without anything that is not meant to be read. */
export function clean(text) {
  return String(text ?? "").replace(ESCAPES, "");
}

/** The same on one line, of at most `length` characters. */
export function line(text, length = 200) {
  const flat = clean(text).replace(/\s+/g, " ").trim();
  return flat.length > length ? `${flat.slice(0, length - 1)}…` : flat;
}

const GROUPED = new Intl.NumberFormat();

/** 12,345 */
export function count(number) {
  return GROUPED.format(Math.round(number));
}

/** "3 workers", "1 worker" */
export function many(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** A length of time in its largest fitting unit: "0.4 s", "71 s", "12 min", "5.5 h", "3 d". */
export function span(seconds) {
  const length = Math.max(seconds, 0);
  if (length < 0.0995) return `${Math.round(length * 1000)} ms`;
  if (length < 9.95) return `${length.toFixed(1)} s`;
  if (length < 120) return `${Math.round(length)} s`;
  if (length < 7200) return `${Math.round(length / 60)} min`;
  if (length < 172800) return `${(length / 3600).toFixed(1)} h`;
  return `${Math.round(length / 86400)} d`;
}

/** The same, in milliseconds below a second: "42 ms", "870 ms", "1.2 s". */
export function fine(seconds) {
  return seconds < 0.9995 ? `${Math.round(Math.max(seconds, 0) * 1000)} ms` : span(seconds);
}

/** How long ago something was; what ticks by the second has no tenths. */
export function age(seconds) {
  return seconds < 120 ? `${Math.max(Math.floor(seconds), 0)} s` : span(seconds);
}

/** The same in whole seconds, for what is awaited: "0 s", "49 s", "3:07". */
export function ticking(seconds) {
  const whole = Math.max(Math.ceil(seconds), 0);
  if (whole < 100) return `${whole} s`;
  if (whole < 6000) return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
  return span(whole);
}

/** Seconds from one moment (ISO 8601) to another (milliseconds). */
export function since(moment, now) {
  return (now - Date.parse(moment)) / 1000;
}

/** Where the reader is, today: the time of day; else with the date. */
export function clock(moment) {
  const at = new Date(moment);
  const isToday = at.toDateString() === new Date().toDateString();
  const time = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return isToday ? time : `${at.toLocaleDateString([], { month: "short", day: "numeric" })}, ${time}`;
}

/** 12.3 GB */
export function bytes(number) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  let rest = number;
  for (; rest >= 1000 && unit < units.length - 1; unit++) rest /= 1000;
  return `${rest < 10 && unit ? rest.toFixed(1) : Math.round(rest)} ${units[unit]}`;
}

/** $0.0123 */
export function dollars(number) {
  return `$${number < 1 ? number.toFixed(4) : number.toFixed(2)}`;
}

/** "worker_lost" as "worker lost" */
export function spoken(name) {
  return clean(name).replaceAll("_", " ");
}
