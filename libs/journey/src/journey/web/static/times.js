/** Say a time in microseconds as people do. */
export function inWords(microseconds) {
  if (microseconds < 1_000) return `${Math.round(microseconds)} µs`;
  if (microseconds < 1_000_000) return `${(microseconds / 1_000).toFixed(1)} ms`;
  if (microseconds < 60_000_000) return `${(microseconds / 1_000_000).toFixed(2)} s`;
  return `${Math.floor(microseconds / 60_000_000)} min ${Math.floor(microseconds / 1_000_000) % 60} s`;
}
