"""The networks of train-step.ts in PyTorch: for each line of standard input, some steps; their time as a line of JSON.

    train-peer.py THREADS STEPS; then lines {"name": "small-cnn", "input": [1, 28, 28], "batch": 64}
"""
import json
import sys
import time

try:
    import torch
    from torch import nn
except ImportError:
    sys.exit("PyTorch is not installed for this Python (Debian: python3-torch)")


def small_cnn(channels, height, width, classes=10):
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(),
        nn.Flatten(), nn.Linear(32 * (height // 4) * (width // 4), 96), nn.ReLU(), nn.Linear(96, classes),
    )


def separable(before, after, stride):
    return [
        nn.Conv2d(before, before, 3, stride=stride, padding=1, groups=before, bias=False), nn.BatchNorm2d(before), nn.ReLU6(),
        nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU6(),
    ]


def mobilenet_tiny(channels, height, width, classes=10):
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU6(),
        *separable(16, 32, 1), *separable(32, 64, 2), *separable(64, 64, 1), *separable(64, 128, 2), *separable(128, 128, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, classes),
    )


NETWORKS = {"small-cnn": small_cnn, "mobilenet-tiny": mobilenet_tiny}


class Subject:
    def __init__(self, spec):
        torch.manual_seed(1)
        self.network = NETWORKS[spec["name"]](*spec["input"]).train()
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3)
        self.loss = nn.CrossEntropyLoss()
        self.x = torch.randn(spec["batch"], *spec["input"])
        self.y = torch.arange(spec["batch"]) % 10

    def step(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.network(self.x), self.y)
        loss.backward()
        self.optimizer.step()
        return loss.item()


def main(threads, steps):
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    subjects = {}
    for line in sys.stdin:
        subject = subjects.get(line)
        if subject is None:
            subject = subjects[line] = Subject(json.loads(line))
        clock, cpu = time.perf_counter(), time.process_time()
        for _ in range(steps):
            subject.step()
        took = {"clock": 1000 * (time.perf_counter() - clock), "cpu": 1000 * (time.process_time() - cpu)}
        print(json.dumps({**took, "version": torch.__version__}), flush=True)


main(int(sys.argv[1]), int(sys.argv[2]))
