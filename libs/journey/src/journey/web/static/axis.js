// The axis of a drawing. Retries wait for seconds where work takes milliseconds: such waits are drawn shortened.

const NEVER_SHORTENED = 500_000; // microseconds

/**
 * Return where a moment is on the axis (`at`, from 0 to 1), which moment a place is (`timeAt`), the time that the drawn
 * length stands for (`length`), and whether anything (`shortens`) or one item (`shortened`) is drawn shortened.
 */
export function axisOf(items) {
  const pieces = piecesOf(items);
  const length = pieces.reduce((sum, piece) => sum + piece.drawn, 0) || 1;
  const origin = pieces[0]?.from ?? items[0]?.from ?? 0;

  function at(time) {
    let before = 0;
    for (const { from, to, drawn } of pieces) {
      if (time < to) return (before + (drawn * (time - from)) / (to - from)) / length;
      before += drawn;
    }
    return before / length;
  }

  function timeAt(place) {
    let rest = place * length;
    for (const { from, to, drawn } of pieces) {
      if (rest < drawn) return from + ((to - from) * rest) / drawn;
      rest -= drawn;
    }
    return pieces.at(-1)?.to ?? origin;
  }

  const short = pieces.filter(({ from, to, drawn }) => drawn < to - from);
  const shortened = (item) => short.some(({ from, to }) => item.from <= from && to <= item.to);
  return { at, timeAt, length, shortened, shortens: short.length > 0 };
}

function piecesOf(items) {
  const moments = [...new Set(items.flatMap(({ from, to }) => [from, to]))].sort((a, b) => a - b);
  const work = items.filter(({ kind }) => kind === "work");
  const pieces = moments.slice(1).map((to, i) => ({ from: moments[i], to, drawn: to - moments[i] }));
  const idle = pieces.filter(({ from, to }) => !work.some((bar) => bar.from <= from && to <= bar.to));
  const busy = pieces.reduce((sum, { drawn }) => sum + drawn, 0) - idle.reduce((sum, { drawn }) => sum + drawn, 0);
  const longest = Math.max(busy, NEVER_SHORTENED);
  for (const piece of idle) if (piece.drawn > longest) piece.drawn = Math.max(busy / 2, longest / 10);
  return pieces;
}
