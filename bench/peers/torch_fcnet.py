"""FCNet in PyTorch on one thread, as a peer for bench/fcnetEpoch.bench.ts.

Reads lines "RULE KEEP STEPS" (sgdm or adam; keep probability; optimizer steps) and answers each with one JSON line,
{"seconds": ..., "loss": ...}. Batches of 128 out of 60,000 random images; the time includes slicing the batch.
LRD is written as its authors do: a mask from torch.bernoulli for every parameter, multiplied into the update.
"""
import json
import sys
import time

import torch

torch.set_num_threads(1)
torch.manual_seed(1)
images = torch.rand(60000, 784)
labels = torch.randint(0, 10, (60000,))


def build():
    return torch.nn.Sequential(
        torch.nn.Linear(784, 1000), torch.nn.ReLU(), torch.nn.Linear(1000, 1000), torch.nn.ReLU(), torch.nn.Linear(1000, 10)
    )


class Lrd:
    """SGDM or Adam with learning rate dropout."""

    def __init__(self, parameters, rule, keep):
        self.parameters, self.rule, self.keep, self.t = list(parameters), rule, keep, 0
        self.m = [torch.zeros_like(p) for p in self.parameters]
        self.v = [torch.zeros_like(p) for p in self.parameters]

    def zero_grad(self):
        for p in self.parameters:
            p.grad = None

    @torch.no_grad()
    def step(self):
        self.t += 1
        for p, m, v in zip(self.parameters, self.m, self.v):
            mask = torch.bernoulli(torch.full_like(p, self.keep))
            if self.rule == "sgdm":
                m.mul_(0.9).add_(p.grad)
                p.sub_(mask * (0.1 * m))
            else:
                m.mul_(0.9).add_(p.grad, alpha=0.1)
                v.mul_(0.999).addcmul_(p.grad, p.grad, value=0.001)
                denominator = (v / (1 - 0.999**self.t)).sqrt_().add_(1e-8)
                p.sub_(mask * (1e-3 / (1 - 0.9**self.t) * m / denominator))


arms = {}


def arm(rule, keep):
    if (rule, keep) not in arms:
        net = build()
        if keep < 1:
            optimizer = Lrd(net.parameters(), rule, keep)
        elif rule == "sgdm":
            optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        else:
            optimizer = torch.optim.Adam(net.parameters())
        arms[rule, keep] = net, optimizer
    return arms[rule, keep]


print(json.dumps({"ready": True, "torch": torch.__version__, "parallel": torch.__config__.parallel_info().split("\n")[0]}), flush=True)
for line in sys.stdin:
    rule, keep, steps = line.split()
    net, optimizer = arm(rule, float(keep))
    start = time.perf_counter()
    order = torch.randperm(60000)
    loss = torch.zeros(())
    for step in range(int(steps)):
        index = order[128 * step : 128 * (step + 1)]
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(images[index]), labels[index])
        loss.backward()
        optimizer.step()
        loss.item()
    print(json.dumps({"seconds": time.perf_counter() - start, "loss": loss.item()}), flush=True)
