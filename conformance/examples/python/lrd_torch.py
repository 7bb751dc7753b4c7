#!/usr/bin/env python3
"""Learning rate dropout for PyTorch's own optimizers, and an adapter that has it judged. One file, PyTorch and nothing else.

    npx lrd conformance --adapter 'cmd:python3 lrd_torch.py'

`LearningRateDropout` is all that training needs:

    optimizer = LearningRateDropout(torch.optim.Adam(model.parameters(), lr=1e-3), keep_probability=0.5, seed=42)
    loss.backward()
    optimizer.step()

The rest of the file speaks the conformance protocol. Without PyTorch every case is skipped, with that reason.
"""
import json
import math
import sys

try:
    import torch
except ImportError:
    torch = None

# ---------------------------------------------------------------- the optimizer

M0, M1, W0, W1, WORD = 0xD2511F53, 0xCD9E8D57, 0x9E3779B9, 0xBB67AE85, 0xFFFFFFFF
ALIGNMENT = 64


def stream_mask(seed, step, base, shape, p):
    """The mask stream: element n = base + i is kept iff half n mod 8 of block floor(n / 8) is below T (Philox4x32-10).

    A function of seed, step, place and p alone: a resumed run, another device or another split draws the same masks.
    `base` is a multiple of 64. int64 products wrap modulo 2^64, which leaves both halves right.
    """
    size = math.prod(shape)
    threshold = max(1, math.floor(p * 65536 + 0.5))
    block = torch.arange(base // 8, (base + size + 7) // 8, dtype=torch.int64)
    c0, c1 = block & WORD, block >> 32
    c2, c3 = torch.full_like(block, step), torch.zeros_like(block)
    k0, k1 = seed & WORD, seed >> 32
    for _ in range(10):
        a, b = c0 * M0, c2 * M1
        c0, c1, c2, c3 = ((b >> 32) & WORD) ^ c1 ^ k0, b & WORD, ((a >> 32) & WORD) ^ c3 ^ k1, a & WORD
        k0, k1 = (k0 + W0) & WORD, (k1 + W1) & WORD
    words = torch.stack((c0, c1, c2, c3), dim=1)
    halves = torch.stack((words & 0xFFFF, words >> 16), dim=2).flatten()
    return (halves[:size] < threshold).reshape(shape)


class LearningRateDropout:
    """Any optimizer of torch.optim with learning rate dropout: each element's update is kept with probability p, else skipped.

    The optimizer steps as it always does, so its moments, its step counts and its weight decay see every gradient; then, parameter
    by parameter, the elements that the mask drops are put back by a select. Nothing is multiplied, nothing is divided by p.

    A parameter group may have a `keep_probability` of its own; 1 leaves its parameters unmasked.
    """

    def __init__(self, optimizer, keep_probability=0.5, seed=None):
        self.optimizer = optimizer
        self.keep_probability = keep_probability
        self.seed = torch.seed() % 2**63 if seed is None else seed
        self.steps = 0

    @property
    def param_groups(self):
        return self.optimizer.param_groups

    def zero_grad(self, set_to_none=True):
        self.optimizer.zero_grad(set_to_none)

    def state_dict(self):
        return {"optimizer": self.optimizer.state_dict(), "seed": self.seed, "steps": self.steps}

    def load_state_dict(self, state):
        self.optimizer.load_state_dict(state["optimizer"])
        self.seed, self.steps = state["seed"], state["steps"]

    @torch.no_grad() if torch else lambda f: f
    def step(self, draw=None):
        """One step. `draw(index, parameter, p)` gives the mask of a parameter; left out, it is the mask stream's.

        Returns the masks by parameter, None for one without a gradient.
        """
        self.steps += 1
        todo, base = [], 0
        parameters = [(p, group) for group in self.param_groups for p in group["params"]]
        for index, (parameter, group) in enumerate(parameters):
            p = group.get("keep_probability", self.keep_probability)
            mask = None
            if parameter.grad is not None:
                if draw is not None:
                    mask = draw(index, parameter, p)
                elif p == 1:
                    mask = torch.ones(parameter.shape, dtype=torch.bool)
                else:
                    mask = stream_mask(self.seed, self.steps, base, parameter.shape, p).to(parameter.device)
            todo.append((parameter, None if mask is None else parameter.detach().clone(), mask))
            # Excluded parameters and those without a gradient keep their place.
            base += -(-parameter.numel() // ALIGNMENT) * ALIGNMENT
        self.optimizer.step()
        for parameter, before, mask in todo:
            if mask is not None:
                parameter.copy_(torch.where(mask, parameter, before))
        return [mask for _, _, mask in todo]


# ---------------------------------------------------------------- the protocol

INF = math.inf
NAMED = {"NaN": math.nan, "Infinity": INF, "-Infinity": -INF, "-0": -0.0}
# Name: (default, lowest, highest, whether these two are allowed themselves); a bool is a flag, a tuple of words a choice.
RATE, DECAY, EPSILON = (0, INF, True, False), (0, INF, True, False), (0, INF, False, False)
CLOSED, HALF_OPEN = (0, 1, True, True), (0, 1, True, False)
ADAM = {
    "learningRate": (1e-3, *RATE),
    "beta1": (0.9, *HALF_OPEN),
    "beta2": (0.999, *HALF_OPEN),
    "epsilon": (1e-8, *EPSILON),
    "weightDecay": (0, *DECAY),
    "epsilonMode": ("corrected", "hat"),
}
RULES = {
    "sgdm": {
        "learningRate": (0.1, *RATE),
        "momentum": (0.9, *HALF_OPEN),
        "dampening": (0, *CLOSED),
        "nesterov": False,
        "weightDecay": (0, *DECAY),
    },
    "adam": ADAM,
    "adamw": {**ADAM, "weightDecay": (0.01, *DECAY)},
}
# PyTorch's name of each of the protocol's state tensors.
STATE = {
    "sgdm": {"buf": "momentum_buffer"},
    "adam": {"m": "exp_avg", "v": "exp_avg_sq"},
    "adamw": {"m": "exp_avg", "v": "exp_avg_sq"},
}
ALL = ["parameters", "masks", "state"]


class Skip(Exception):
    pass


def decode(x):
    return NAMED.get(x, x) if isinstance(x, str) else x


def encode(x):
    if x != x:
        return "NaN"
    if x in (INF, -INF):
        return "Infinity" if x > 0 else "-Infinity"
    return "-0" if x == 0 and math.copysign(1, x) < 0 else x


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check(rule, name, value):
    if name not in RULES[rule]:
        raise ValueError(f"hyper must have only {', '.join(RULES[rule])} for {rule}, got {name}")
    row = RULES[rule][name]
    if isinstance(row, bool):
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false, got {value}")
    elif isinstance(row[0], str):
        if value not in row:
            raise ValueError(f"{name} must be one of {', '.join(row)}, got {value}")
    else:
        _, low, high, low_allowed, high_allowed = row
        inside = is_number(value) and low <= value <= high
        inside = inside and (low_allowed or value != low) and (high_allowed or value != high)
        if not inside:
            raise ValueError(f"{name} must lie between {low} and {high}, got {value}")
    return value


def check_keep(p):
    if not is_number(p) or not 2**-16 <= p <= 1:
        raise ValueError(f"keepProbability must be in [2^-16, 1], got {p}")
    return p


def check_length(what, got, size):
    if got != size:
        raise ValueError(f"{what} must have {size} elements, got {got}")


def at(value, index):
    """The value of a step: given once for all, or as a list."""
    return decode(value[index] if isinstance(value, list) else value)


def every(value):
    return [decode(x) for x in value] if isinstance(value, list) else [decode(value)]


def tensor(what, values, shape):
    size = math.prod(shape)
    flat = [decode(values["fill"])] * size if isinstance(values, dict) else [decode(x) for x in values]
    check_length(what, len(flat), size)
    return torch.tensor(flat, dtype=torch.float32).reshape(shape)


def flat(value):
    return [encode(x) for x in value.detach().flatten().tolist()]


def settings(rule, index, *given):
    """Hyper-parameters of one parameter at one step; the last word wins."""
    h = {name: row if isinstance(row, bool) else row[0] for name, row in RULES[rule].items()}
    for hyper in given:
        h.update({name: at(value, index) for name, value in hyper.items()})
    return h


def to_torch(rule, h):
    """The same as options of torch.optim."""
    if rule == "sgdm":
        if h["nesterov"] and (h["momentum"] == 0 or h["dampening"] != 0):
            raise Skip("PyTorch's SGD has nesterov only with momentum and without dampening")
        named = {"momentum": h["momentum"], "dampening": h["dampening"], "nesterov": h["nesterov"]}
    else:
        if h["epsilonMode"] == "hat":
            raise Skip("PyTorch's Adam puts epsilon beside the corrected root only")
        named = {"betas": (h["beta1"], h["beta2"]), "eps": h["epsilon"]}
    return {"lr": h["learningRate"], "weight_decay": h["weightDecay"], **named}


def restore(optimizer, rule, tensors, state, steps):
    for name, given in state.items():
        if name not in STATE[rule]:
            raise ValueError(f"state must have only {', '.join(STATE[rule])} for {rule}, got {name}")
        for k, parameter in enumerate(tensors):
            value = tensor(f"state {name} of tensor {k}", given[k], parameter.shape)
            optimizer.state[parameter][STATE[rule][name]] = value
            if rule != "sgdm":
                optimizer.state[parameter]["step"] = torch.tensor(float(steps))


def run(case):
    rule = case["rule"]
    if rule not in RULES:
        raise ValueError(f"rule must be one of {', '.join(RULES)}, got {rule}")
    parameters, gradients = case["parameters"], case["gradients"]
    for hyper in [case.get("hyper", {}), *(p.get("hyper", {}) for p in parameters)]:
        for name, value in hyper.items():
            for item in every(value):
                check(rule, name, item)
    keep = case.get("keepProbability", 1)
    for value in [keep, *(p["keepProbability"] for p in parameters if "keepProbability" in p)]:
        if value is not None:
            for item in every(value):
                check_keep(item)
    masks, seed = case.get("masks", "own"), int(case.get("seed", "0x0"), 16)
    given = masks if isinstance(masks, list) else None
    report, first = case.get("report", ALL), case.get("firstStep", 1)

    def settings_of(k, index):
        return settings(rule, index, case.get("hyper", {}), parameters[k].get("hyper", {}))

    def keep_of(k, index):
        if keep is None or parameters[k].get("excluded", False):
            return 1
        return at(parameters[k].get("keepProbability", keep), index)

    tensors = [tensor(f"values of {p['name']}", p["values"], p["shape"]).requires_grad_() for p in parameters]
    # A group a parameter: PyTorch's own way of giving each its own settings.
    groups = [{"params": [t], **to_torch(rule, settings_of(k, 0))} for k, t in enumerate(tensors)]
    make = {"sgdm": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[rule]
    # What a parameter's group does not say has the optimizer's default, which must be there for SGD.
    optimizer = LearningRateDropout(make(groups, lr=0.1), seed=seed)
    optimizer.steps = first - 1
    if "state" in case:
        restore(optimizer.optimizer, rule, tensors, case["state"], first - 1)
    generator = torch.Generator()
    generator.manual_seed((seed + first) % 2**63)

    steps = []
    for index, row in enumerate(gradients):
        check_length(f"gradients of step {index + 1}", len(row), len(tensors))
        if given is not None:
            for k, t in enumerate(tensors):
                check_length(f"mask {k} of step {index + 1}", len(given[index][k]), t.numel())
        for k, t in enumerate(tensors):
            t.grad = None if row[k] is None else tensor(f"gradient {k} of step {index + 1}", row[k], t.shape)
            group = optimizer.param_groups[k]
            group.update(to_torch(rule, settings_of(k, index)), keep_probability=keep_of(k, index))

        def draw(k, parameter, p):
            if given is not None and keep is not None and not parameters[k].get("excluded", False):
                bits = torch.tensor([bit == "1" for bit in given[index][k]], dtype=torch.bool)
                return bits.reshape(parameter.shape)
            if p == 1:
                return torch.ones(parameter.shape, dtype=torch.bool)
            return torch.rand(parameter.shape, generator=generator, dtype=torch.float64) < p

        used = optimizer.step(None if masks == "stream" else draw)
        record = {}
        if "parameters" in report:
            record["parameters"] = [flat(t) for t in tensors]
        if "masks" in report:
            record["masks"] = [m if m is None else "".join("1" if bit else "0" for bit in m.flatten().tolist()) for m in used]
        if "state" in report:
            record["state"] = {}
            for ours, theirs in STATE[rule].items():
                found = [optimizer.optimizer.state.get(t, {}).get(theirs) for t in tensors]
                if any(value is not None for value in found):
                    record["state"][ours] = [
                        flat(torch.zeros_like(t) if value is None else value) for t, value in zip(tensors, found)
                    ]
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
                    "name": "lrd_torch",
                    "version": f"PyTorch {torch.__version__}" if torch else "PyTorch is not installed",
                    "language": "python",
                    "precision": "float32",
                    "rules": list(RULES),
                    "masks": ["stream", "given", "own"],
                    "features": ["state", "resume", "base", "schedule", "groups", "null-gradient"],
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
