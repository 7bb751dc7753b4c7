"""Trajectories of PyTorch's optimizers in float64, for impl-ref/rules/rules.test.ts.

    /usr/bin/python3 spec/vectors/pytorch.py > spec/vectors/pytorch.json

Made with PyTorch 1.13.0 (Debian's python3-torch). No random numbers: gradients are a fixed formula of step and element.
Numbers are written with 17 significant digits, so they read back exactly.
"""
import json
import math

import torch

STEPS = 40
START = [1.0, -0.5, 0.25, 2.0, -3.0, 1e-3, 0.0]


def gradient(step, values):
    """Of size about 1, with zeros, small and large elements, and a dependence on the parameters."""
    return [
        math.sin(1.7 * step + i) * 10.0 ** (i % 4 - 2) + 0.1 * v if (step + i) % 7 else 0.0
        for i, v in enumerate(values)
    ]


CASES = [
    ("sgdm", {"momentum": 0}, torch.optim.SGD, {"lr": 0.1}),
    ("sgdm", {}, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    ("sgdm", {"weightDecay": 0.01}, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    ("sgdm", {"dampening": 0.5}, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}),
    ("sgdm", {"nesterov": True}, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("rmsprop", {}, torch.optim.RMSprop, {"lr": 1e-3}),
    ("rmsprop", {"weightDecay": 0.01, "rho": 0.9}, torch.optim.RMSprop, {"lr": 1e-3, "alpha": 0.9, "weight_decay": 0.01}),
    ("rmsprop", {"momentum": 0.9}, torch.optim.RMSprop, {"lr": 1e-3, "momentum": 0.9}),
    ("rmsprop", {"centered": True, "momentum": 0.5}, torch.optim.RMSprop, {"lr": 1e-3, "centered": True, "momentum": 0.5}),
    ("adam", {}, torch.optim.Adam, {"lr": 1e-3}),
    ("adam", {"weightDecay": 0.01}, torch.optim.Adam, {"lr": 1e-3, "weight_decay": 0.01}),
    ("adam", {"beta1": 0.5, "beta2": 0.9, "epsilon": 1e-3}, torch.optim.Adam, {"lr": 1e-3, "betas": (0.5, 0.9), "eps": 1e-3}),
    ("amsgrad", {}, torch.optim.Adam, {"lr": 1e-3, "amsgrad": True}),
    ("amsgrad", {"weightDecay": 0.01, "beta2": 0.9}, torch.optim.Adam, {"lr": 1e-3, "amsgrad": True, "weight_decay": 0.01, "betas": (0.9, 0.9)}),
    ("radam", {}, torch.optim.RAdam, {"lr": 0.03}),
    ("radam", {"weightDecay": 0.01, "beta2": 0.99}, torch.optim.RAdam, {"lr": 0.03, "weight_decay": 0.01, "betas": (0.9, 0.99)}),
    ("adamw", {}, torch.optim.AdamW, {"lr": 1e-3, "weight_decay": 0.01}),
    ("adamw", {"weightDecay": 0.5, "learningRate": 0.1}, torch.optim.AdamW, {"lr": 0.1, "weight_decay": 0.5}),
]


def main():
    cases = []
    for rule, hyper, optimizer, options in CASES:
        theta = torch.tensor(START, dtype=torch.float64, requires_grad=True)
        # foreach=False: one tensor after the other, the plainest of PyTorch's implementations.
        torch_optimizer = optimizer([theta], foreach=False, **options)
        gradients, values = [], []
        for step in range(1, STEPS + 1):
            g = gradient(step, theta.tolist())
            theta.grad = torch.tensor(g, dtype=torch.float64)
            torch_optimizer.step()
            gradients.append(g)
            values.append(theta.tolist())
        cases.append({"rule": rule, "hyper": hyper, "start": START, "gradients": gradients, "values": values})
    print(json.dumps({"made with": "spec/vectors/pytorch.py, torch " + torch.__version__, "cases": cases}))


main()
