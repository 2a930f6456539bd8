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
    const high = white[channel] ?? 0;
    const end = (channel + 1) * plane;
    for (let at = channel * plane; at < end; at += 1) picture[at] = Math.min(high, Math.max(low, picture[at] ?? 0));
  }
}

export type Range = Exclude<TensorSet['range'], undefined>;

function saturate(picture: Float32Array, plane: number, factor: number, { black, white }: Range): void {
  const spans = LUMA.map((_, channel) => (white[channel] ?? 1) - (black[channel] ?? 0));
  for (let at = 0; at < plane; at += 1) {
    let grey = 0;
    for (const [channel, weight] of LUMA.entries())
      grey += (weight * ((picture[channel * plane + at] ?? 0) - (black[channel] ?? 0))) / (spans[channel] ?? 1);
    for (let channel = 0; channel < LUMA.length; channel += 1) {
      const level = (black[channel] ?? 0) + grey * (spans[channel] ?? 1);
      picture[channel * plane + at] = level + factor * ((picture[channel * plane + at] ?? 0) - level);
    }
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
