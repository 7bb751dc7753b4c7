#!/usr/bin/env python3
"""Learning rate dropout over PyTorch's own optimizers, in float32, written against the conformance protocol.

    npx lrd conformance --adapter 'cmd:python3 conformance/examples/python/lrd_torch.py'

The whole of learning rate dropout is in `step`: let the base optimizer step, then put the dropped elements back with
`torch.where`. The rest speaks the protocol. It draws its own masks or replays given ones; it does not follow the mask stream.
Without PyTorch every case is skipped, with that reason.
"""
import json
import math
import sys

from lrd_adapter import RULES, at, check, check_keep_probability, check_length, encode, numbers, resolve

try:
    import torch
except ImportError:
    torch = None

# PyTorch's name of each of our state tensors.
STATE = {
    "sgdm": {"buf": "momentum_buffer"},
    "rmsprop": {"v": "square_avg", "gavg": "grad_avg", "buf": "momentum_buffer"},
    "adam": {"m": "exp_avg", "v": "exp_avg_sq"},
    "amsgrad": {"m": "exp_avg", "v": "exp_avg_sq", "vmax": "max_exp_avg_sq"},
    "radam": {"m": "exp_avg", "v": "exp_avg_sq"},
    "adamw": {"m": "exp_avg", "v": "exp_avg_sq"},
}


def make(rule, h, tensors):
    """PyTorch's optimizer; None for a variant that it does not have."""
    common = {"lr": h["learningRate"], "weight_decay": h["weightDecay"]}
    if rule == "sgdm":
        if h["nesterov"] and (h["momentum"] == 0 or h["dampening"] != 0):
            return None
        return torch.optim.SGD(
            tensors, momentum=h["momentum"], dampening=h["dampening"], nesterov=h["nesterov"], **common
        )
    if rule == "rmsprop":
        # PyTorch takes the root of v - gavg^2 where rounding has made it negative: NaN.
        if h["epsilonPlacement"] == "inside" or h["centered"]:
            return None
        return torch.optim.RMSprop(tensors, alpha=h["rho"], eps=h["epsilon"], momentum=h["momentum"], **common)
    adam = {"betas": (h["beta1"], h["beta2"]), "eps": h["epsilon"], **common}
    if rule == "radam":
        return torch.optim.RAdam(tensors, **adam) if h["variant"] == "torch" else None
    if rule == "amsgrad":
        plain = h["maxOf"] == "raw" and h["epsilonMode"] == "corrected"
        return torch.optim.Adam(tensors, amsgrad=True, **adam) if plain else None
    if h["epsilonMode"] == "hat":
        return None
    return (torch.optim.AdamW if rule == "adamw" else torch.optim.Adam)(tensors, **adam)


def step(optimizer, tensors, masks):
    """One step of learning rate dropout over any optimizer: select, do not multiply."""
    before = [tensor.detach().clone() for tensor in tensors]
    optimizer.step()
    with torch.no_grad():
        for tensor, old, mask in zip(tensors, before, masks):
            tensor.copy_(torch.where(mask, tensor, old))


class Skip(Exception):
    pass


def run(case):
    rule = case["rule"]
    if rule not in RULES:
        raise ValueError(f"rule must be one of {', '.join(RULES)}, got {rule}")
    for name, value in case.get("hyper", {}).items():
        if isinstance(value, list):
            raise Skip("no schedules")
        check(rule, name, at(value, 0) if not isinstance(value, bool) else value)
    keep, masks = case.get("keepProbability", 1), case.get("masks", "own")
    if isinstance(keep, list):
        raise Skip("no schedules")
    if keep is not None:
        keep = at(keep, 0)
        check_keep_probability(keep)
    if rule not in STATE:
        raise Skip(f"PyTorch has no {rule}")
    h = resolve(rule, {n: v if isinstance(v, bool) else at(v, 0) for n, v in case.get("hyper", {}).items()})
    report = case.get("report", ["parameters", "masks", "state"])

    generator = torch.Generator()
    generator.manual_seed(int(case.get("seed", "0x1"), 16) % 2**63)
    tensors = []
    for parameter in case["parameters"]:
        size = math.prod(parameter["shape"])
        values = numbers(parameter["values"], size)
        check_length(f"values of {parameter['name']}", len(values), size)
        tensors.append(torch.tensor(values, dtype=torch.float32).reshape(parameter["shape"]).requires_grad_())
    optimizer = make(rule, h, tensors)
    if optimizer is None:
        raise Skip(f"PyTorch's {rule} has no such variant")

    steps = []
    for index, gradients in enumerate(case["gradients"]):
        check_length(f"gradients of step {index + 1}", len(gradients), len(tensors))
        used = []
        for k, tensor in enumerate(tensors):
            gradient = numbers(gradients[k], tensor.numel())
            check_length(f"gradient {k} of step {index + 1}", len(gradient), tensor.numel())
            tensor.grad = torch.tensor(gradient, dtype=torch.float32).reshape(tensor.shape)
            if isinstance(masks, list):
                check_length(f"mask {k} of step {index + 1}", len(masks[index][k]), tensor.numel())
            if keep is None or keep == 1 and not isinstance(masks, list):
                bits = torch.ones(tensor.numel(), dtype=torch.bool)
            elif isinstance(masks, list):
                bits = torch.tensor([bit == "1" for bit in masks[index][k]], dtype=torch.bool)
            else:
                bits = torch.rand(tensor.numel(), generator=generator) < keep
            used.append(bits.reshape(tensor.shape))
        step(optimizer, tensors, used)
        record = {}
        if "parameters" in report:
            record["parameters"] = [[encode(x) for x in tensor.detach().flatten().tolist()] for tensor in tensors]
        if "masks" in report:
            record["masks"] = ["".join("1" if bit else "0" for bit in bits.flatten().tolist()) for bits in used]
        if "state" in report:
            record["state"] = {}
            for ours, theirs in STATE[rule].items():
                found = [optimizer.state[tensor].get(theirs) for tensor in tensors]
                if all(value is not None for value in found):
                    record["state"][ours] = [[encode(x) for x in value.flatten().tolist()] for value in found]
        steps.append(record)
    return steps


def main():
    for line in sys.stdin:
        request = json.loads(line)
        if request["cmd"] == "stop":
            break
        if request["cmd"] == "start":
            answer = {
                "version": 1,
                "implementation": {
                    "name": "pytorch",
                    "version": torch.__version__ if torch else "not installed",
                    "language": "python",
                    "precision": "float32",
                    "rules": list(STATE),
                    "masks": ["given", "own"],
                    "features": ["state", "base"],
                },
            }
        else:
            answer = {"seq": request["seq"]}
            try:
                if torch is None:
                    raise Skip("PyTorch is not installed")
                answer["result"] = {"steps": run(request["case"])}
            except Skip as reason:
                answer["skipped"] = {"reason": str(reason)}
            except (ValueError, KeyError) as error:
                answer["errored"] = {"code": "invalid-argument", "message": str(error)}
        print(json.dumps(answer, allow_nan=False), flush=True)


if __name__ == "__main__":
    main()
