import type { Augment, TensorSet } from '@selvedge/contract';
import type { Random } from '@selvedge/graph/train';

/** ITU-R BT.601: the weights of red, green and blue in what looks equally bright. */
const LUMA = [0.299, 0.587, 0.114] as const;

const around = (random: Random, reach: number): number => 1 + reach * (2 * random.uniform() - 1);

/**
 * Changes brightness, contrast and saturation of one picture [C, H, W], adds noise and fills a square, in this order. Values
 * stay between black and white.
 */
export function changeColours(
  picture: Float32Array,
  size: { height: number; width: number },
  options: Augment,
  range: Range,
  random: Random,
): void {
  const { brightness = 0, contrast = 0, saturation = 0, noise = 0, cutout = 0 } = options;
  const { black, white } = range;
  const plane = size.height * size.width;
  const shift = brightness === 0 ? 0 : brightness * (2 * random.uniform() - 1);
  const [strength, colour] = [contrast === 0 ? 1 : around(random, contrast), saturation === 0 ? 1 : around(random, saturation)];
  if (shift !== 0 || strength !== 1) {
    for (const [channel, low] of black.entries()) {
      const span = (white[channel] ?? 0) - low;
      const middle = low + span / 2;
      const end = (channel + 1) * plane;
      for (let at = channel * plane; at < end; at += 1) picture[at] = middle + strength * ((picture[at] ?? 0) - middle) + shift * span;
    }
  }
  if (colour !== 1) saturate(picture, plane, colour, range);
  if (noise > 0) {
    for (const [channel, low] of black.entries()) {
      const deviation = noise * ((white[channel] ?? 0) - low);
      const end = (channel + 1) * plane;
      for (let at = channel * plane; at < end; at += 1) picture[at] = (picture[at] ?? 0) + deviation * random.normal();
    }
  }
  if (cutout > 0 && random.uniform() < 0.5) fillSquare(picture, size, cutout, range, random);
  for (const [channel, low] of black.entries()) {
    clamp(picture, channel * plane, (channel + 1) * plane, low, white[channel] ?? 0);
  }
}

function clamp(values: Float32Array, start: number, end: number, low: number, high: number): void {
  for (let at = start; at < end; at += 1) {
    const value = values[at] ?? 0;
    if (value < low) values[at] = low;
    else if (value > high) values[at] = high;
  }
}

export type Range = Exclude<TensorSet['range'], undefined>;

/** Every pixel nears its grey by `factor`; channels are measured from black to white, whatever their units are. */
function saturate(picture: Float32Array, plane: number, factor: number, { black, white }: Range): void {
  const [low0 = 0, low1 = 0, low2 = 0] = black;
  const [span0 = 1, span1 = 1, span2 = 1] = white.map((high, channel) => high - (black[channel] ?? 0));
  const [weight0, weight1, weight2] = [LUMA[0] / span0, LUMA[1] / span1, LUMA[2] / span2];
  const [red, green, blue] = [0, 1, 2].map((channel) => picture.subarray(channel * plane, (channel + 1) * plane));
  if (red === undefined || green === undefined || blue === undefined) return;
  // Without calls and iterators in the loop: it runs for every pixel of every step.
  for (let at = 0; at < plane; at += 1) {
    const [r, g, b] = [red[at] ?? 0, green[at] ?? 0, blue[at] ?? 0];
    const grey = (1 - factor) * (weight0 * (r - low0) + weight1 * (g - low1) + weight2 * (b - low2));
    red[at] = (1 - factor) * low0 + grey * span0 + factor * r;
    green[at] = (1 - factor) * low1 + grey * span1 + factor * g;
    blue[at] = (1 - factor) * low2 + grey * span2 + factor * b;
  }
}

function fillSquare(picture: Float32Array, size: { height: number; width: number }, largest: number, range: Range, random: Random): void {
  const share = largest * random.uniform();
  const [rows, columns] = [Math.round(size.height * share), Math.round(size.width * share)];
  const [top, left] = [Math.floor(random.uniform() * (size.height - rows + 1)), Math.floor(random.uniform() * (size.width - columns + 1))];
  for (const [channel, low] of range.black.entries()) {
    const grey = (low + (range.white[channel] ?? 0)) / 2;
    for (let row = top; row < top + rows; row += 1) {
      const at = (channel * size.height + row) * size.width + left;
      picture.fill(grey, at, at + columns);
    }
  }
}
