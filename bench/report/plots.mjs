// Plots as SVG: bars of contestants, and curves over what grows.

const WIDTH = 760;
const LABELS = 220;
const VALUES = 110;
const ROW = 26;
const TOP = 44;
const COLORS = { ours: "#1f6feb", peer: "#8c959f", apart: "#c8ced4", floor: "#2da44e" };
const FONT = 'font-family="system-ui, sans-serif" font-size="13"';

const escaped = (text) =>
  String(text).replace(/[&<>"]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[sign]);
const at = (number) => Number(number.toFixed(1));

function svg(height, title, content) {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escaped(title)}" ${FONT}>
<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>
<text x="12" y="24" font-weight="600" fill="#1f2328">${escaped(title)}</text>
${content.join("\n")}
</svg>
`;
}

/**
 * A bar for the median of each, on a scale from 0, and a line from the least to the most.
 * `bars`: `{ label, kind, median, least, most, text }`, best first.
 */
export function barPlot(title, bars) {
  const most = Math.max(...bars.map((bar) => bar.most), Number.MIN_VALUE);
  const x = (value) => LABELS + (value / most) * (WIDTH - LABELS - VALUES);
  const content = bars.flatMap(({ label, kind, median, least, most, text }, n) => {
    const y = TOP + n * ROW;
    const middle = at(y + ROW / 2 - 2);
    return [
      `<text x="${LABELS - 8}" y="${middle + 5}" text-anchor="end" fill="#1f2328">${escaped(label)}</text>`,
      `<rect x="${LABELS}" y="${y}" width="${at(Math.max(1, x(median) - LABELS))}" height="${ROW - 6}" fill="${COLORS[kind]}"/>`,
      `<line x1="${at(x(least))}" y1="${middle}" x2="${at(x(most))}" y2="${middle}" stroke="#1f2328"/>`,
      `<text x="${at(x(Math.max(most, median)) + 8)}" y="${middle + 5}" fill="#1f2328">${escaped(text)}</text>`,
    ];
  });
  return svg(TOP + bars.length * ROW + 8, title, content);
}

const CURVE = { height: 300, left: 100, right: 30, top: 50, bottom: 50 };

/**
 * Medians over something that grows, which has a logarithmic scale; the other scale begins at 0, so that a flat cost is a flat
 * line. `points`: `{ x, median, least, most }`; `said`: how a value is written.
 */
export function curvePlot(title, xTitle, points, said) {
  const { height, left, right, top, bottom } = CURVE;
  const sorted = points.toSorted((a, b) => a.x - b.x);
  // None stands in front of one.
  const logs = sorted.map(({ x }) => Math.log10(Math.max(0.5, x)));
  const [low, span] = [logs[0], Math.max(logs.at(-1) - logs[0], 1)];
  const most = Math.max(...sorted.map((point) => point.most), Number.MIN_VALUE);
  const x = (log) => at(left + ((log - low) / span) * (WIDTH - left - right));
  const y = (value) => at(height - bottom - (value / most) * (height - top - bottom));
  const line = sorted.map(({ median }, n) => `${x(logs[n])},${y(median)}`).join(" ");
  return svg(height, title, [
    ...[0, 0.5, 1].map(
      (share) =>
        `<line x1="${left}" y1="${y(share * most)}" x2="${WIDTH - right}" y2="${y(share * most)}" stroke="#d0d7de"/><text x="${left - 8}" y="${y(share * most) + 5}" text-anchor="end" fill="#1f2328">${escaped(said(share * most))}</text>`,
    ),
    `<polyline points="${line}" fill="none" stroke="${COLORS.ours}" stroke-width="2"/>`,
    ...sorted.flatMap((point, n) => [
      `<line x1="${x(logs[n])}" y1="${y(point.least)}" x2="${x(logs[n])}" y2="${y(point.most)}" stroke="#1f2328"/>`,
      `<circle cx="${x(logs[n])}" cy="${y(point.median)}" r="4" fill="${COLORS.ours}"/>`,
      `<text x="${x(logs[n])}" y="${height - bottom + 20}" text-anchor="middle" fill="#1f2328">${point.x.toLocaleString("en")}</text>`,
    ]),
    `<text x="${at((left + WIDTH - right) / 2)}" y="${height - 10}" text-anchor="middle" fill="#1f2328">${escaped(xTitle)}</text>`,
  ]);
}
