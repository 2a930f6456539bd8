import type { Random } from './random.ts';

export type Colour = readonly [red: number, green: number, blue: number];

export const mix = (a: Colour, b: Colour, share: number): Colour =>
  [0, 1, 2].map((c) => (a[c] ?? 0) + share * ((b[c] ?? 0) - (a[c] ?? 0))) as unknown as Colour;

/** RGB values from 0 to 255, not yet rounded. */
export class Canvas {
  readonly width: number;
  readonly height: number;
  readonly #data: Float32Array;

  constructor(width: number, height: number) {
    this.width = width;
    this.height = height;
    this.#data = new Float32Array(width * height * 3);
  }

  blend(x: number, y: number, colour: Colour, opacity: number): void {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return;
    const at = (y * this.width + x) * 3;
    for (let c = 0; c < 3; c += 1) this.#data[at + c] = (this.#data[at + c] ?? 0) * (1 - opacity) + (colour[c] ?? 0) * opacity;
  }

  /** An oval, turned by `angle` radians, without sharp edges. */
  oval(x: number, y: number, length: number, breadth: number, angle: number, colour: Colour): void {
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    const reach = Math.ceil(Math.max(length, breadth)) + 1;
    for (let row = Math.floor(y - reach); row <= y + reach; row += 1) {
      for (let column = Math.floor(x - reach); column <= x + reach; column += 1) {
        const [dx, dy] = [column - x, row - y];
        const [along, across] = [(dx * cos + dy * sin) / length, (dy * cos - dx * sin) / breadth];
        const distance = Math.hypot(along, across);
        if (distance < 1) this.blend(column, row, colour, Math.min(1, (1 - distance) * breadth));
      }
    }
  }

  /** The pixels as 8-bit RGB, lit by the factor `light`, with normal noise of the standard deviation `noise`. */
  expose(light: number, noise: number, random: Random): Uint8Array {
    return Uint8Array.from(this.#data, (value) => Math.min(255, Math.max(0, Math.round(value * light + noise * random.normal()))));
  }
}
