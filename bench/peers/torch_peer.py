"""PyTorch as a peer of the benchmarks: one process that answers a JSON line with a JSON line.

    {"op": "open", "id": "a", "rule": "adam", "keep": 0.5, "shapes": [[1000]], "fused": false, "silent": 0} -> {"ok": true}
    {"op": "step", "id": "a", "steps": 1}                                                           -> {"ms": milliseconds of all steps}
    {"op": "extra", "id": "a"}                                                                      -> {"bytes": a step's peak of memory}
    {"op": "mask", "elements": 1000, "keep": 0.5}                                                   -> {"ms": ...}
    {"op": "train", "net": "resnet34", "rule": "adam", "keep": 0.5, "batch": 32, "steps": 1}        -> {"ms": ..., "loss": ...}
    {"op": "close", "id": "a"}                                                                      -> {"ok": true}

keep 1: torch.optim as it is, with "fused" its one kernel a list of tensors. keep below 1: LRD as its authors write it, a mask from torch.bernoulli for every parameter,
multiplied into the update. Times are those of this process's own clocks, so that the pipe does not count: "ms" by the wall's, "processor" by that of all
its threads on a processor. Gradients of "open" are fixed; with "silent": N two columns in five have one in the first step only, and N steps have followed. With "device": "cuda" in "open", "mask" or "train" the
work is done there, and a time ends when the device has done it.
"""
import gc
import json
import math
import sys
import time

import torch

from torch_nets import DenseNet, ResNet, fcnet

torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
torch.manual_seed(1)

BASE = {
    "sgdm": lambda p, **how: torch.optim.SGD(p, lr=0.1, momentum=0.9, **how),
    "rmsprop": lambda p, **how: torch.optim.RMSprop(p, lr=1e-3, **how),
    "adam": lambda p, **how: torch.optim.Adam(p, **how),
    "amsgrad": lambda p, **how: torch.optim.Adam(p, amsgrad=True, **how),
    "radam": lambda p, **how: torch.optim.RAdam(p, **how),
    "adamw": lambda p, **how: torch.optim.AdamW(p, **how),
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


def create(parameters, rule, keep, fused=False):
    if keep != 1:
        return Lrd(parameters, rule, keep)
    return BASE[rule](parameters, fused=True) if fused else BASE[rule](parameters)


def status(field):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(field))


NETS = {
    "fcnet": (fcnet, [784]),
    "resnet34": (lambda: ResNet(10, 64, [3, 4, 6, 3]), [3, 32, 32]),
    "densenet121": (lambda: DenseNet(10, 32), [3, 32, 32]),
}


class Training:
    """A network on random images in batches; the time includes slicing the batch and bringing it to the device."""

    def __init__(self, net, rule, keep, batch, device):
        create_net, shape = NETS[net]
        self.batch, self.device, self.net = batch, device, create_net().to(device)
        # All of MNIST for the network whose input counts; one batch for those whose does not.
        count = 60000 if net == "fcnet" else batch
        self.images, self.labels = torch.rand(count, *shape), torch.randint(0, 10, (count,))
        self.optimizer = create(self.net.parameters(), rule, keep)

    def run(self, steps):
        count = len(self.labels)
        order = torch.randperm(count)
        for step in range(steps):
            at = self.batch * step % count
            index = order[at : at + self.batch]
            images, labels = self.images[index].to(self.device), self.labels[index].to(self.device)
            self.optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(self.net(images), labels)
            loss.backward()
            self.optimizer.step()
            value = loss.item()
        return value


lanes, trainings = {}, {}



def timed(work, device="cpu"):
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    wait()
    wall, processor = time.perf_counter(), time.process_time()
    result = work()
    wait()
    return {"ms": 1000 * (time.perf_counter() - wall), "processor": 1000 * (time.process_time() - processor)}, result


def peak(lane, device):
    """Bytes that a step needs at its peak beyond what is there before it."""
    if device == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        lane.step()
        return torch.cuda.max_memory_allocated() - before
    before = status("VmRSS")
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # sets the high-water mark back
    lane.step()
    return max(0, status("VmHWM") - before)


def answer(request):
    op, device = request["op"], request.get("device", "cpu")
    if op == "open":
        parameters = [torch.nn.Parameter(torch.zeros(shape, device=device)) for shape in request["shapes"]]
        for p in parameters:
            p.grad = torch.randn_like(p).mul_(0.01)
        lane = create(parameters, request["rule"], request["keep"], request.get("fused", False))
        lanes[request["id"]] = lane, device
        if request.get("silent"):
            lane.step()
            for p in parameters:
                p.grad[..., torch.arange(p.shape[-1], device=device) % 5 < 2] = 0
            for _ in range(request["silent"]):
                lane.step()
        return {"ok": True}
    if op == "step":
        lane, device = lanes[request["id"]]
        return timed(lambda: [lane.step() for _ in range(request["steps"])], device)[0]
    if op == "extra":
        return {"bytes": peak(*lanes[request["id"]])}
    if op == "mask":
        shape = [request["elements"]]
        return timed(lambda: torch.bernoulli(torch.full(shape, request["keep"], device=device)), device)[0]
    if op == "train":
        key = request["net"], request["rule"], request["keep"], request["batch"], device
        if key not in trainings:
            trainings[key] = Training(*key)
        times, loss = timed(lambda: trainings[key].run(request["steps"]), device)
        return {**times, "loss": loss}
    if op == "close":
        del lanes[request["id"]]
        gc.collect()
        return {"ok": True}
    raise ValueError(f"op must be open, step, extra, mask, train or close, got {op!r}")


def say(message):
    print(json.dumps(message), flush=True)


def gflops():
    """The rate of a matrix product, by the time that its threads had on a processor: best of five."""
    size = 512
    a = torch.rand(size, size)
    product = lambda: timed(lambda: torch.mm(a, a))[0]["processor"]
    product()
    return 2 * size**3 / 1e6 / max(1e-3, min(product() for _ in range(5)))


def describe():
    built = torch.__config__.show()
    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        # Debian's build leaves the choice to the system's libblas.
        "blas": next((name for name in ("MKL", "OpenBLAS", "Accelerate") if f"blas_info={name}".lower() in built.lower()), "the system's"),
        "onednn": torch.backends.mkldnn.is_available(),
        "vectors": next((line.split(":")[1].strip() for line in built.split("\n") if "CPU capability usage" in line), "unknown"),
        "gflops": round(gflops(), 1),
        "cuda": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "tf32": {"products": torch.backends.cuda.matmul.allow_tf32, "convolutions": torch.backends.cudnn.allow_tf32},
    }


say(describe())
for line in sys.stdin:
    try:
        say(answer(json.loads(line)))
    except Exception as error:  # the other side reports it
        say({"error": f"{type(error).__name__}: {error}"})
