import type { BenchmarkReport } from '@selvedge/contract';
import type { DrawnBox } from '../scores.ts';
import { type Html, html, NOTHING } from './html.ts';

const SIZE = 240;
const MARGIN = 34;

const shown = (value: number) => value.toFixed(1);

/** Confidence against accuracy: on the diagonal a model is as right as it says. Bars are the accuracy of a bin, the bars' width its samples. */
export function reliabilityDiagram(bins: NonNullable<BenchmarkReport['calibration']>): Html {
  const at = (value: number) => MARGIN + value * SIZE;
  const up = (value: number) => MARGIN / 2 + (1 - value) * SIZE;
  const most = Math.max(1, ...bins.map(({ samples }) => samples));
  const bars = bins.map(({ from, to, samples, confidence, accuracy }) => {
    if (samples === 0) return NOTHING;
    const width = (to - from) * SIZE - 2;
    const strength = (0.35 + 0.65 * Math.sqrt(samples / most)).toFixed(2);
    const title = `confidence ${from.toFixed(2)} to ${to.toFixed(2)}: ${samples} samples, ${(accuracy * 100).toFixed(1)} % right, mean confidence ${confidence.toFixed(3)}`;
    return html`<g><title>${title}</title><rect class="bar" x="${shown(at(from) + 1)}" y="${shown(up(accuracy))}" width="${shown(width)}" height="${shown(Math.max(1, accuracy * SIZE))}" fill-opacity="${strength}"/><circle class="dot" cx="${shown(at(confidence))}" cy="${shown(up(accuracy))}" r="3"/></g>`;
  });
  const ticks = [0, 0.25, 0.5, 0.75, 1].map(
    (tick) =>
      html`<line class="grid" x1="${at(0)}" x2="${at(1)}" y1="${shown(up(tick))}" y2="${shown(up(tick))}"/><text x="${at(0) - 6}" y="${shown(up(tick) + 4)}" text-anchor="end">${tick}</text><text x="${shown(at(tick))}" y="${up(0) + 16}" text-anchor="middle">${tick}</text>`,
  );
  const [width, height] = [MARGIN + SIZE + 16, MARGIN / 2 + SIZE + 38];
  return html`<svg class="chart" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="Reliability diagram: accuracy by confidence">${ticks}${bars}<line class="ideal" x1="${at(0)}" y1="${up(0)}" x2="${at(1)}" y2="${up(1)}"/><text x="${at(0.5)}" y="${up(0) + 33}" text-anchor="middle">confidence</text></svg>`;
}

/** Boxes over a picture of a sample; the stroke does not grow with the picture. */
export function boxLayer(boxes: readonly DrawnBox[], width: number, height: number): Html {
  const textPx = Math.max(width, height) / 20;
  const drawn = boxes.map(({ box: [x1, y1, x2, y2], text, state }) => {
    const y = y1 > textPx * 1.2 ? y1 - textPx * 0.25 : y1 + textPx;
    return html`<rect class="box ${state}" x="${shown(x1)}" y="${shown(y1)}" width="${shown(Math.max(0, x2 - x1))}" height="${shown(Math.max(0, y2 - y1))}" vector-effect="non-scaling-stroke"/><text class="tag ${state}" x="${shown(x1)}" y="${shown(y)}" font-size="${shown(textPx)}">${text}</text>`;
  });
  return html`<svg class="boxes" viewBox="0 0 ${width} ${height}" aria-hidden="true">${drawn}</svg>`;
}
