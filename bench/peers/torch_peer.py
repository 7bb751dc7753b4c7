"""PyTorch as a peer of the benchmarks: one process that answers a JSON line with a JSON line.

    {"op": "open", "id": "a", "rule": "adam", "keep": 0.5, "shapes": [[1000]]}   -> {"ok": true}
    {"op": "step", "id": "a", "steps": 1}                                        -> {"ms": milliseconds of all steps}
    {"op": "extra", "id": "a"}                                                   -> {"bytes": peak of resident memory during a step}
    {"op": "mask", "elements": 1000, "keep": 0.5}                                -> {"ms": ...}
    {"op": "fcnet", "rule": "adam", "keep": 0.5, "steps": 47}                    -> {"ms": ..., "loss": ...}
    {"op": "resnet34", "rule": "adam", "keep": 0.5, "batch": 32, "steps": 1}     -> {"ms": ..., "loss": ...}
    {"op": "close", "id": "a"}                                                   -> {"ok": true}

keep 1: torch.optim as it is. keep below 1: LRD as its authors write it, a mask from torch.bernoulli for every parameter,
multiplied into the update. Times are those of this process's own clock, so that the pipe does not count; with "clock": "processor" in a
request for a network, the processor's time instead of the wall's. Gradients are fixed.
"""
import gc
import json
import math
import sys
import time

import torch

torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
torch.manual_seed(1)

BASE = {
    "sgdm": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=1e-3),
    "adam": lambda p: torch.optim.Adam(p),
    "amsgrad": lambda p: torch.optim.Adam(p, amsgrad=True),
    "radam": lambda p: torch.optim.RAdam(p),
    "adamw": lambda p: torch.optim.AdamW(p),
}


class Lrd:
    """A rule with learning rate dropout: the moments move fully, the update is masked."""

    def __init__(self, parameters, rule, keep):
        self.parameters, self.rule, self.keep, self.t = list(parameters), rule, keep, 0
        self.m = [torch.zeros_like(p) for p in self.parameters]
        self.v = [torch.zeros_like(p) for p in self.parameters]
        self.top = [torch.zeros_like(p) for p in self.parameters] if rule == "amsgrad" else self.v

    def zero_grad(self):
        for p in self.parameters:
            p.grad = None

    def update(self, p, m, v, top):
        """The base rule's step times the learning rate."""
        g = p.grad
        if self.rule == "sgdm":
            return 0.1 * m.mul_(0.9).add_(g)
        if self.rule == "rmsprop":
            v.mul_(0.99).addcmul_(g, g, value=0.01)
            return 1e-3 * g / v.sqrt().add_(1e-8)
        c1, c2 = 1 - 0.9**self.t, 1 - 0.999**self.t
        m.mul_(0.9).add_(g, alpha=0.1)
        v.mul_(0.999).addcmul_(g, g, value=0.001)
        if self.rule == "radam":
            limit = 2 / (1 - 0.999) - 1
            length = limit - 2 * self.t * (1 - c2) / c2
            if length <= 5:
                return (0.001 / c1) * m
            r = math.sqrt((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length))
            return (0.001 * r * math.sqrt(c2) / c1) * m / v.sqrt().add_(1e-8)
        if self.rule == "amsgrad":
            torch.maximum(top, v, out=top)
        step = (0.001 / c1) * m / (top / c2).sqrt_().add_(1e-8)
        return step.add_(p, alpha=0.001 * 0.01) if self.rule == "adamw" else step

    @torch.no_grad()
    def step(self):
        self.t += 1
        for p, m, v, top in zip(self.parameters, self.m, self.v, self.top):
            mask = torch.bernoulli(torch.full_like(p, self.keep))
            p.sub_(mask * self.update(p, m, v, top))


def create(parameters, rule, keep):
    return BASE[rule](parameters) if keep == 1 else Lrd(parameters, rule, keep)


def status(field):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(field))


class Fcnet:
    """784-1000-1000-10 on 60,000 random images, batches of 128; the time includes slicing the batch."""

    images = None

    def __init__(self, rule, keep):
        if Fcnet.images is None:
            Fcnet.images = torch.rand(60000, 784)
            Fcnet.labels = torch.randint(0, 10, (60000,))
        linear, relu = torch.nn.Linear, torch.nn.ReLU
        self.net = torch.nn.Sequential(linear(784, 1000), relu(), linear(1000, 1000), relu(), linear(1000, 10))
        self.optimizer = create(self.net.parameters(), rule, keep)

    def run(self, steps):
        order = torch.randperm(60000)
        loss = torch.zeros(())
        for step in range(steps):
            index = order[128 * step : 128 * (step + 1)]
            self.optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(self.net(self.images[index]), self.labels[index])
            loss.backward()
            self.optimizer.step()
            loss.item()
        return loss.item()


class Block(torch.nn.Module):
    """Two 3 x 3 convolutions with a shortcut."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        conv, norm = torch.nn.Conv2d, torch.nn.BatchNorm2d
        self.body = torch.nn.Sequential(
            conv(inputs, outputs, 3, stride, 1, bias=False),
            norm(outputs),
            torch.nn.ReLU(),
            conv(outputs, outputs, 3, 1, 1, bias=False),
            norm(outputs),
        )
        same = stride == 1 and inputs == outputs
        self.shortcut = (
            torch.nn.Identity()
            if same
            else torch.nn.Sequential(conv(inputs, outputs, 1, stride, bias=False), norm(outputs))
        )

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))


class ResNet34:
    """ResNet-34 with a 3 x 3 stem on one batch of random images."""

    def __init__(self, rule, keep, batch):
        layers, inputs = [torch.nn.Conv2d(3, 64, 3, 1, 1, bias=False), torch.nn.BatchNorm2d(64), torch.nn.ReLU()], 64
        for stage, blocks in enumerate((3, 4, 6, 3)):
            for block in range(blocks):
                layers.append(Block(inputs, 64 << stage, 2 if stage > 0 and block == 0 else 1))
                inputs = 64 << stage
        layers += [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(512, 10)]
        self.net = torch.nn.Sequential(*layers)
        self.images, self.labels = torch.rand(batch, 3, 32, 32), torch.randint(0, 10, (batch,))
        self.optimizer = create(self.net.parameters(), rule, keep)

    def run(self, steps):
        loss = torch.zeros(())
        for _ in range(steps):
            self.optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(self.net(self.images), self.labels)
            loss.backward()
            self.optimizer.step()
        return loss.item()


lanes, nets = {}, {}

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


def timed(work, clock=time.perf_counter):
    start = clock()
    result = work()
    return 1000 * (clock() - start), result


def answer(request):
    op = request["op"]
    if op == "open":
        parameters = [torch.nn.Parameter(torch.zeros(shape)) for shape in request["shapes"]]
        for p in parameters:
            p.grad = torch.randn_like(p).mul_(0.01)
        lanes[request["id"]] = create(parameters, request["rule"], request["keep"])
        return {"ok": True}
    if op == "step":
        lane = lanes[request["id"]]
        return {"ms": timed(lambda: [lane.step() for _ in range(request["steps"])])[0]}
    if op == "extra":
        before = status("VmRSS")
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # sets the high-water mark back
        lanes[request["id"]].step()
        return {"bytes": max(0, status("VmHWM") - before)}
    if op == "mask":
        shape = [request["elements"]]
        return {"ms": timed(lambda: torch.bernoulli(torch.full(shape, request["keep"])))[0]}
    if op == "fcnet":
        key = request["rule"], request["keep"]
        if key not in nets:
            nets[key] = Fcnet(*key)
        ms, loss = timed(lambda: nets[key].run(request["steps"]), CLOCKS[request.get("clock", "wall")])
        return {"ms": ms, "loss": loss}
    if op == "resnet34":
        key = "resnet34", request["rule"], request["keep"], request["batch"]
        if key not in nets:
            nets[key] = ResNet34(*key[1:])
        ms, loss = timed(lambda: nets[key].run(request["steps"]), CLOCKS[request.get("clock", "wall")])
        return {"ms": ms, "loss": loss}
    if op == "close":
        del lanes[request["id"]]
        gc.collect()
        return {"ok": True}
    raise ValueError(f"op must be open, step, extra, mask, fcnet, resnet34 or close, got {op!r}")


def say(message):
    print(json.dumps(message), flush=True)


say({"torch": torch.__version__, "threads": torch.get_num_threads(), "blas": torch.__config__.show().count("OpenBLAS") > 0})
for line in sys.stdin:
    try:
        say(answer(json.loads(line)))
    except Exception as error:  # the other side reports it
        say({"error": f"{type(error).__name__}: {error}"})
