"""A classifier with one hidden layer, trained with nothing but Python's standard library.

It shows the contract of scripts; for real work, do the same with PyTorch or NumPy (docs/guides/python-training.md).
"""

import math
import random

from selvedge import training

from layers import Dense

job = training.load()
HIDDEN = job.args.get("hidden", 24)
LR, BATCH, EPOCHS = job.hyperparams["lr"], job.hyperparams["batch_size"], job.hyperparams["epochs"]
SIZE = math.prod(job.sample_shape)
rng = random.Random(job.hyperparams.get("seed", 0))


def samples(split):
    """Pairs of values and class; a small set is held in memory."""
    x, y = split.x.read(), split.y.read()
    return [(x[at * SIZE : (at + 1) * SIZE].tolist(), y[at]) for at in range(split.count)]


def softmax(scores):
    top = max(scores)
    powers = [math.exp(score - top) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def step(batch):
    """One step of gradient descent. Returns the mean loss."""
    loss = 0.0
    for x, label in batch:
        hidden = [max(0.0, value) for value in first.forward(x)]
        chances = softmax(second.forward(hidden))
        loss -= math.log(max(chances[label], 1e-12))
        error = [chance - (at == label) for at, chance in enumerate(chances)]
        back = second.gather(hidden, error)
        first.gather(x, [value if hidden[at] > 0 else 0.0 for at, value in enumerate(back)])
    first.update(LR / len(batch))
    second.update(LR / len(batch))
    return loss / len(batch)


def accuracy(pairs):
    right = 0
    for x, label in pairs:
        scores = second.forward([max(0.0, value) for value in first.forward(x)])
        right += scores.index(max(scores)) == label
    return right / max(1, len(pairs))


def save():
    """The model as ONNX, softmax left to the pipeline's post-processing."""
    model = training.OnnxModel(input_shape=[None, *job.sample_shape])
    hidden = model.relu(model.gemm(model.flatten(model.input), first.weights, first.bias, transposed=True))
    model.output(model.gemm(hidden, second.weights, second.bias, transposed=True), shape=[None, job.classes])
    model.save(job.model_path)


train, validation = samples(job.train), samples(job.validation)
first, second = Dense(SIZE, HIDDEN, rng), Dense(HIDDEN, job.classes, rng)
best = -1.0
for epoch in range(1, EPOCHS + 1):
    rng.shuffle(train)
    losses = [step(train[at : at + BATCH]) for at in range(0, len(train), BATCH)]
    score = accuracy(validation)
    kept = score >= best
    training.report(epoch=epoch, train_loss=sum(losses) / len(losses), validation_accuracy=score, kept=kept)
    if kept:
        best = score
        save()
    if training.cancelled():
        break
