import { GraphBuilder } from './graph-builder.ts';
import type { Model, ValueInfo } from './model.ts';

/**
 * Adds operators at the end of a network.
 *
 * @param inputs - that they read besides the network's own.
 * @param emit - returns the name of the result, which becomes the only output.
 */
export function extendModel(model: Model, inputs: readonly ValueInfo[], emit: (graph: GraphBuilder) => string): Model {
  const { graph } = model;
  const taken = [...graph.initializers.keys(), ...graph.inputs.map(({ name }) => name), ...graph.nodes.flatMap((node) => node.outputs)];
  const builder = new GraphBuilder(new Set(taken));
  const result = emit(builder);
  return {
    ...model,
    graph: {
      ...graph,
      nodes: [...graph.nodes, ...builder.nodes],
      initializers: new Map([...graph.initializers, ...builder.initializers]),
      inputs: [...graph.inputs, ...inputs],
      outputs: [{ name: result, type: 'float32', shape: null }],
    },
  };
}
