import { AppError } from '@selvedge/contract';
import { GraphBuilder } from '../onnx/graph-builder.ts';
import { attribute, constantsOf, elementCount, inferShapes, type Model, type Node, opUnsupported, type TensorData } from '../onnx/index.ts';
import { type DropoutMask, FEED, feedName, RESERVED, type Slot, slotsLength } from './feeds.ts';
import { gradientRule, TRAINABLE_OPS } from './gradients/registry.ts';
import type { BackwardView, ForwardView, GradientRule, NodeView, Saved } from './gradients/rule.ts';
import { noneTrainable, weightFilter } from './trainable.ts';

export interface EmitterOptions {
  readonly batchSize: number;
  /** Operators at the end of the model that the loss contains: they stay in the exported model only. */
  readonly contains: readonly string[];
  /** Patterns for names of weights, or of the nodes that use them; default: all are trained. */
  readonly trainable?: readonly string[] | undefined;
}

/** Emits the parts of a training step for one model. Call `forward` before `backward`. */
export class TrainingGraphEmitter {
  readonly graph: GraphBuilder;
  readonly weights: Slot[] = [];
  readonly statistics: Slot[] = [];
  readonly masks: DropoutMask[] = [];
  readonly output: string;
  private readonly model: Model;
  private readonly shapes = new Map<string, readonly number[]>();
  private readonly constants: ReadonlyMap<string, TensorData>;
  private readonly nodes: readonly Node[];
  private readonly weightNames = new Set<string>();
  /** Values that depend on a weight. */
  private readonly active = new Set<string>();
  private readonly saved = new Map<Node, Saved>();
  private readonly gradients = new Map<string, string>();
  private readonly nextStatistics = new Map<string, string>();

  constructor(model: Model, options: EmitterOptions) {
    this.model = model;
    for (const [name, type] of inferShapes(model, { batch: options.batchSize })) {
      const sizes = type.shape.filter((size) => size !== null);
      if (sizes.length < type.shape.length)
        throw new AppError('SHAPE_MISMATCH', {
          message: `The shape of "${name}" is not known before the model runs, so it cannot be trained.`,
          hint: 'Only the batch may be open.',
        });
      this.shapes.set(name, sizes);
    }
    this.graph = new GraphBuilder(new Set(this.shapes.keys()));
    this.output = this.lossInput(options.contains);
    this.nodes = this.ancestors(this.output);
    this.findWeights(options.trainable);
    this.constants = constantsOf({ ...model, graph: { ...model.graph, initializers: this.fixedInitializers() } });
  }

  shapeOf(name: string): readonly number[] {
    const shape = this.shapes.get(name);
    if (!shape) throw new AppError('INTERNAL', { message: `The training graph has no value "${name}".` });
    return shape;
  }

  /** Emits the network as it is in training. */
  forward(): void {
    this.unpackVector(FEED.weights, this.weights);
    for (const node of this.nodes) {
      const forward = this.ruleOf(node)?.forward;
      if (forward) this.saved.set(node, forward(this.forwardView(node)));
      else this.graph.nodes.push({ ...node, outputs: node.outputs.slice(0, 1) });
    }
    for (const [name, tensor] of this.fixedInitializers()) this.graph.initializers.set(name, tensor);
    if (this.statistics.length === 0) return;
    // Which statistics there are is known only now, but they are used above.
    const end = this.graph.nodes.length;
    this.unpackVector(FEED.statistics, this.statistics);
    this.graph.nodes.unshift(...this.graph.nodes.splice(end));
  }

  /** Emits the gradients by all weights and returns them as one vector, in the order of `weights`. */
  backward(outputGradient: string): string {
    this.gradients.set(this.output, outputGradient);
    for (const node of this.nodes.toReversed()) {
      const gradient = this.gradients.get(node.outputs[0] ?? '');
      const rule = this.ruleOf(node);
      if (gradient === undefined || !node.inputs.some((name) => this.active.has(name))) continue;
      if (!rule) throw opUnsupported(node, 'it has no gradient', TRAINABLE_OPS);
      const byInput = rule.backward(this.backwardView(node, gradient));
      for (const [i, name] of node.inputs.entries()) {
        const part = byInput[i];
        if (part !== undefined && this.active.has(name)) this.accumulate(name, part);
      }
    }
    return this.pack(this.weights, (slot) => this.gradients.get(slot.name));
  }

  /** Emits the running statistics after this step as one vector, in the order of `statistics`. */
  statisticsAfter(): string {
    return this.pack(this.statistics, (slot) => this.nextStatistics.get(slot.name));
  }

  private pack(slots: readonly Slot[], valueFor: (slot: Slot) => string | undefined): string {
    const flat = slots.map((slot) => {
      const value = valueFor(slot);
      if (value !== undefined) return this.graph.reshape(value, [slot.length]);
      return this.graph.constant({ type: 'float32', dims: [slot.length], data: new Float32Array(slot.length) });
    });
    return this.graph.op('Concat', flat, { axis: attribute.int(0) });
  }

  private unpackVector(vector: string, slots: readonly Slot[]): void {
    const parts = slots.map(() => this.graph.freshName('part'));
    const lengths = this.graph.ints(slots.map((slot) => slot.length));
    this.graph.opInto('Split', [vector, lengths], parts, { axis: attribute.int(0) });
    for (const [i, slot] of slots.entries()) this.graph.opInto('Reshape', [parts[i] ?? '', this.graph.ints(slot.dims)], [slot.name]);
  }

  private accumulate(name: string, part: string): void {
    const before = this.gradients.get(name);
    this.gradients.set(name, before === undefined ? part : this.graph.op('Add', [before, part]));
  }

  private ruleOf(node: Node): GradientRule | undefined {
    return node.domain === '' ? gradientRule(node.op) : undefined;
  }

  private lossInput(contains: readonly string[]): string {
    const output = this.model.graph.outputs[0]?.name ?? '';
    const last = this.model.graph.nodes.find((node) => node.outputs.includes(output));
    return last && contains.includes(last.op) ? (last.inputs[0] ?? output) : output;
  }

  /** The nodes that `value` is made from, in their order. */
  private ancestors(value: string): Node[] {
    const wanted = new Set([value]);
    const kept: Node[] = [];
    for (const node of this.model.graph.nodes.toReversed()) {
      if (!node.outputs.some((output) => wanted.has(output))) continue;
      kept.unshift(node);
      for (const input of node.inputs) wanted.add(input);
    }
    return kept;
  }

  private findWeights(patterns: readonly string[] | undefined): void {
    const trains = weightFilter(patterns);
    const passedOver: string[] = [];
    for (const node of this.nodes) {
      for (const index of this.ruleOf(node)?.weights ?? []) {
        const name = node.inputs[index] ?? '';
        // What the loss itself learns is not part of the model that the patterns speak of.
        if (name.startsWith(RESERVED) || trains([name, node.name])) this.declareWeight(name);
        else if (this.model.graph.initializers.has(name)) passedOver.push(name);
      }
      if (!node.inputs.some((name) => this.active.has(name))) continue;
      for (const output of node.outputs) this.active.add(output);
    }
    if (patterns && !this.weights.some(({ name }) => !name.startsWith(RESERVED))) throw noneTrainable(patterns, passedOver);
    if (this.weights.length === 0) throw new AppError('MODEL_INVALID', { message: 'The model has no weights that could be trained.' });
  }

  private declareWeight(name: string): void {
    const tensor = this.model.graph.initializers.get(name);
    // A scalar is a fixed factor of the formula, not a weight.
    if (tensor?.type !== 'float32' || tensor.dims.length === 0 || this.weightNames.has(name)) return;
    this.weightNames.add(name);
    this.active.add(name);
    this.weights.push({ name, dims: tensor.dims, offset: slotsLength(this.weights), length: tensor.data.length });
  }

  private fixedInitializers(): Map<string, TensorData> {
    const used = new Set(this.nodes.flatMap((node) => node.inputs));
    const moving = new Set(this.statistics.map((slot) => slot.name));
    return new Map(
      [...this.model.graph.initializers].filter(([name]) => used.has(name) && !this.weightNames.has(name) && !moving.has(name)),
    );
  }

  private view(node: Node): NodeView {
    const unsupported = (why: string): never => {
      throw opUnsupported(node, why, TRAINABLE_OPS);
    };
    return {
      graph: this.graph,
      node,
      input: (index) => node.inputs[index] || unsupported(`its input ${index} is missing`),
      shape: (name) => this.shapeOf(name),
      constant: (index) => this.constants.get(node.inputs[index] ?? ''),
      needs: (index) => this.active.has(node.inputs[index] ?? ''),
      unsupported,
    };
  }

  private forwardView(node: Node): ForwardView {
    return {
      ...this.view(node),
      dropoutMask: (dims, ratio) => {
        const name = feedName(`mask${this.masks.length}`);
        this.masks.push({ name, dims, ratio });
        return name;
      },
      updateStatistic: (name, value) => {
        const dims = this.shapeOf(name);
        this.statistics.push({ name, dims, offset: slotsLength(this.statistics), length: elementCount(dims) });
        this.nextStatistics.set(name, value);
      },
    };
  }

  private backwardView(node: Node, gradient: string): BackwardView {
    return { ...this.view(node), gradient, saved: this.saved.get(node) ?? {} };
  }
}
