// Figures in words. null = not known.

export const UNKNOWN = "–";

export function number(value, digits = 1) {
  if (value === null || value === undefined) return UNKNOWN;
  return value.toLocaleString("en", { maximumFractionDigits: Math.abs(value) < 10 ? digits : 0 });
}

export const perSecond = (value) => (value === null ? UNKNOWN : `${number(value)}/s`);
export const percent = (value) => (value === null ? UNKNOWN : `${number(100 * value)} %`);
export const ms = (value) => (value === null ? UNKNOWN : `${number(value)} ms`);

export function duration(seconds) {
  if (seconds === null) return UNKNOWN;
  if (seconds < 10) return `${number(seconds)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

// How long ago; both in ms since 1970, by one clock. 0 = never.
export function ago(then, now) {
  return then ? `${duration(Math.max(0, (now - then) / 1000))} ago` : "never";
}
