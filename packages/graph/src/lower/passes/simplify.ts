import type { Network } from '../network.ts';
import { foldAffine } from './fold-affine.ts';
import { fusePads } from './fuse-pads.ts';
import { matchPatterns } from './match-patterns.ts';

/** The network without nodes that no output needs. */
function dropUnused(network: Network): void {
  const needed = new Set(network.outputs);
  const kept = [];
  for (const node of network.nodes.toReversed()) {
    if (!node.outputs.some((name) => needed.has(name))) continue;
    kept.push(node);
    for (const input of node.inputs) needed.add(input);
  }
  network.nodes = kept.reverse();
}

/** Rewrites the network to fewer, larger nodes before it is lowered. */
export function simplify(network: Network): void {
  dropUnused(network);
  matchPatterns(network);
  dropUnused(network);
  foldAffine(network);
  fusePads(network);
}
