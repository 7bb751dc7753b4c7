#!/usr/bin/env python3
"""Learning rate dropout, SkipUpdate, Magma and Cautious in plain Python, written against the conformance protocol. Standard library only.

    npx lrd conformance --adapter 'cmd:python3 conformance/examples/python/lrd_adapter.py'
    npx lrd conformance --adapter 'cmd:python3 conformance/examples/python/lrd_adapter.py --own-masks'

With --own-masks it draws masks from Python's own generator only, as most implementations do, and can follow neither the
mask stream nor given masks.

Copy `Protocol` (the lower half) and put your own optimizer in the place of `Optimizer`.
"""
import json
import math
import random
import sys

# ---------------------------------------------------------------- the optimizer

INF = math.inf


def number(default, low, high, open_low=False, open_high=True, whole=False):
    return {"default": default, "low": low, "high": high, "open_low": open_low, "open_high": open_high, "whole": whole}


ADAM = {
    "learningRate": number(1e-3, 0, INF),
    "beta1": number(0.9, 0, 1),
    "beta2": number(0.999, 0, 1),
    "epsilon": number(1e-8, 0, INF, open_low=True),
    "weightDecay": number(0, 0, INF),
}
RULES = {
    "sgdm": {
        "learningRate": number(0.1, 0, INF),
        "momentum": number(0.9, 0, 1),
        "dampening": number(0, 0, 1, open_high=False),
        "nesterov": False,
        "weightDecay": number(0, 0, INF),
    },
    "sgdm-avg": {
        "learningRate": number(0.1, 0, INF),
        "window": number(10, 1, INF, whole=True),
        "weightDecay": number(0, 0, INF),
    },
    "rmsprop": {
        "learningRate": number(1e-3, 0, INF),
        "rho": number(0.99, 0, 1),
        "epsilon": number(1e-8, 0, INF, open_low=True),
        "epsilonPlacement": ("outside", "inside"),
        "momentum": number(0, 0, 1),
        "centered": False,
        "weightDecay": number(0, 0, INF),
    },
    "adam": {**ADAM, "epsilonMode": ("corrected", "hat")},
    "amsgrad": {**ADAM, "maxOf": ("raw", "corrected", "uncorrected"), "epsilonMode": ("corrected", "hat")},
    "radam": {**ADAM, "learningRate": number(0.03, 0, INF), "variant": ("torch", "original", "paper")},
    "adamw": {**ADAM, "weightDecay": number(0.01, 0, INF), "epsilonMode": ("corrected", "hat")},
}


# Kinds of mask: granularity, factor, decoupled decay; and the granularities and factors that each may have.
DRAWN = (("element", "tensor"), ("one", "inverse", "alignment"))
KINDS = {
    "lrd": ("element", "one", "scaled", *DRAWN),
    "skip-update": ("tensor", "inverse", "scaled", *DRAWN),
    "magma": ("tensor", "alignment", "scaled", *DRAWN),
    "cautious": ("element", "mean", "plain", ("element",), ("one", "mean")),
}
# Options of a mask, with the factor that each belongs to.
OPTIONS = {
    "temperature": (number(2, 0, INF, open_low=True), "alignment"),
    "smoothing": (number(0.9, 0, 1), "alignment"),
    "firstAlignment": (("half", "one", "measured"), "alignment"),
    "moment": (("rule", "own"), "alignment"),
    "momentDecay": (number(0.9, 0, 1), "alignment"),
    "momentTime": (("after", "before"), "alignment"),
    "cosineEpsilon": (number(0, 0, INF), "alignment"),
    "meanFloor": (number(1e-3, 0, 1, open_low=True, open_high=False), "mean"),
    "normalization": (("mean", "count"), "mean"),
    "decay": (("scaled", "masked", "plain"), None),
}


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check(rule, name, value):
    """Raises ValueError unless `value` is one that hyper-parameter `name` of `rule` may have."""
    if name not in RULES[rule]:
        raise ValueError(f"hyper must have only {', '.join(RULES[rule])} for {rule}, got {name}")
    check_value(name, RULES[rule][name], value)


def check_value(name, spec, value):
    if isinstance(spec, bool):
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false, got {value}")
    elif isinstance(spec, tuple):
        if value not in spec:
            raise ValueError(f"{name} must be one of {', '.join(spec)}, got {value}")
    else:
        inside = (
            is_number(value)
            and (value > spec["low"] if spec["open_low"] else value >= spec["low"])
            and (value < spec["high"] if spec["open_high"] else value <= spec["high"])
            and (not spec["whole"] or value == int(value))
        )
        if not inside:
            left, right = "(" if spec["open_low"] else "[", ")" if spec["open_high"] else "]"
            raise ValueError(f"{name} must be in {left}{spec['low']}, {spec['high']}{right}, got {value}")


def check_keep_probability(p):
    if not is_number(p) or not 2**-16 <= p <= 1:
        raise ValueError(f"keepProbability must be in [2^-16, 1], got {p}")


def resolve_mask(given):
    """A mask with all of its options. Raises ValueError for what its kind has no use for, or may not be."""
    kind = given["kind"]
    if kind not in KINDS:
        raise ValueError(f"mask.kind must be one of {', '.join(KINDS)}, got {kind}")
    granularity, factor, decay, granularities, factors = KINDS[kind]
    mask = {name: spec[0] if isinstance(spec, tuple) else spec["default"] for name, (spec, _) in OPTIONS.items()}
    mask.update(kind=kind, granularity=granularity, factor=factor, decay=decay)
    for name, allowed in (("granularity", granularities), ("factor", factors)):
        if name in given:
            check_value(f"mask.{name}", allowed, given[name])
            mask[name] = given[name]
    for name, value in given.items():
        if name in ("kind", "granularity", "factor"):
            continue
        if name not in OPTIONS or OPTIONS[name][1] not in (None, mask["factor"]):
            raise ValueError(f"mask.{name} must be left out for {kind} with the factor {mask['factor']}, got {value}")
        check_value(f"mask.{name}", OPTIONS[name][0], decode(value))
        mask[name] = decode(value)
    return mask


def resolve(rule, given):
    """All hyper-parameters of a rule: those given, and the defaults of the others."""
    values = {}
    for name, spec in RULES[rule].items():
        default = spec if isinstance(spec, bool) else spec[0] if isinstance(spec, tuple) else spec["default"]
        values[name] = given.get(name, default)
    return values


def divide(a, b):
    """a / b as IEEE 754 has it: Python raises where b is 0."""
    if b != 0:
        return a / b
    return math.nan if a == 0 or a != a else math.copysign(INF, a) * math.copysign(1, b)


def root(x):
    return math.nan if x < 0 or x != x else math.sqrt(x)


def direction(rule, g, s, t, h):
    """deltaW of one element from its gradient (L2 included). `s` is its state, updated in place; t counts gradients from 1."""
    if rule == "sgdm":
        if h["momentum"] == 0:
            return g
        s["buf"] = g if t == 1 else h["momentum"] * s["buf"] + (1 - h["dampening"]) * g
        return g + h["momentum"] * s["buf"] if h["nesterov"] else s["buf"]
    if rule == "sgdm-avg":
        ring = s["ring"]
        ring[(t - 1) % len(ring)] = g
        return sum(ring) / len(ring)
    if rule == "rmsprop":
        s["v"] = h["rho"] * s["v"] + (1 - h["rho"]) * g * g
        spread = s["v"]
        if h["centered"]:
            s["gavg"] = h["rho"] * s["gavg"] + (1 - h["rho"]) * g
            spread = max(s["v"] - s["gavg"] * s["gavg"], 0.0)
        inside = h["epsilonPlacement"] == "inside"
        r = divide(g, root(spread + h["epsilon"]) if inside else root(spread) + h["epsilon"])
        if h["momentum"] == 0:
            return r
        s["buf"] = h["momentum"] * s["buf"] + r
        return s["buf"]
    # Adam and its relatives.
    b1, b2, epsilon = h["beta1"], h["beta2"], h["epsilon"]
    s["m"] = b1 * s["m"] + (1 - b1) * g
    s["v"] = b2 * s["v"] + (1 - b2) * g * g
    c1, c2 = 1 - b1**t, 1 - b2**t
    m_hat = s["m"] / c1
    if rule == "amsgrad":
        form = h["maxOf"]
        s["vmax"] = max(s["vmax"], s["v"] / c2 if form == "corrected" else s["v"])
        if form == "uncorrected":
            return divide(s["m"], root(s["vmax"]) + epsilon)
        beside = epsilon / math.sqrt(c2) if h["epsilonMode"] == "hat" else epsilon
        return divide(m_hat, root(s["vmax"] / c2 if form == "raw" else s["vmax"]) + beside)
    if rule == "radam":
        limit = 2 / (1 - b2) - 1
        length = limit - 2 * t * b2**t / c2
        variant = h["variant"]
        if not (length > 4 if variant == "paper" else length >= 5 if variant == "original" else length > 5):
            return m_hat
        factor = math.sqrt((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length))
        if variant == "paper":
            return factor * divide(m_hat, root(s["v"] / c2) + epsilon)
        return factor * divide(m_hat * math.sqrt(c2), root(s["v"]) + epsilon)
    if h["epsilonMode"] == "hat":
        return divide(m_hat * math.sqrt(c2), root(s["v"]) + epsilon)
    return divide(m_hat, root(s["v"] / c2) + epsilon)


def slots_of(rule, h):
    """Names of the state that a rule keeps."""
    if rule == "sgdm":
        return [] if h["momentum"] == 0 else ["buf"]
    if rule == "rmsprop":
        return ["v"] + (["gavg"] if h["centered"] else []) + (["buf"] if h["momentum"] > 0 else [])
    return {"sgdm-avg": ["ring"], "amsgrad": ["m", "v", "vmax"]}.get(rule, ["m", "v"])


def step_tensor(rule, theta, gradient, state, t, h, mask):
    """Algorithm 1 for one tensor, in place. A dropped element is not touched, whatever its step would be."""
    rate, decay = h["learningRate"], h["weightDecay"]
    if rule == "sgdm" and h["momentum"] == 0:
        for i, keep in enumerate(mask):
            if keep:
                theta[i] -= rate * (gradient[i] + decay * theta[i] if decay else gradient[i])
        return
    for i, keep in enumerate(mask):
        g = gradient[i]
        if decay and rule != "adamw":
            g += decay * theta[i]
        delta = direction(rule, g, state[i], t, h)
        if keep:
            theta[i] -= rate * (delta + decay * theta[i] if decay and rule == "adamw" else delta)


def moment_of(rule, h, mask):
    """The name of the first moment that a cosine takes: the rule's own, or `mu`, the mask's."""
    if mask["moment"] == "own" or rule in ("rmsprop", "sgdm-avg") or (rule == "sgdm" and h["momentum"] == 0):
        return "mu"
    return "buf" if rule == "sgdm" else "m"


def cosine(m, g, epsilon):
    norms = math.sqrt(sum(x * x for x in m)) * math.sqrt(sum(x * x for x in g))
    return divide(sum(x * y for x, y in zip(m, g)), max(norms, epsilon)) if norms != 0 else 0.0


def step_masked(rule, theta, gradient, state, tensor, t, h, keep, cell, p):
    """A masked update of one tensor, in place: theta - rate s d deltaW. Moments see every gradient whole. Returns the mask."""
    rate, decay = h["learningRate"], h["weightDecay"]
    coupled = decay != 0 and rule != "adamw"
    gradients = [g + decay * w for g, w in zip(gradient, theta)] if coupled else gradient
    slot = moment_of(rule, h, cell)
    before = [s.get(slot, 0.0) for s in state]
    deltas = [direction(rule, g, s, t, h) for g, s in zip(gradients, state)]
    if cell["kind"] == "cautious":
        keep = [(u > 0 and g > 0) or (u < 0 and g < 0) for u, g in zip(deltas, gradients)]
    factor = 1.0
    if cell["factor"] == "inverse":
        factor = 65536 / max(1, math.floor(p * 65536 + 0.5))
    elif cell["factor"] == "mean" and theta:
        kept = sum(keep)
        count = cell["normalization"] == "count"
        factor = len(keep) / (kept + 1) if count else 1 / max(kept / len(keep), cell["meanFloor"])
    elif cell["factor"] == "alignment":
        if slot == "mu":
            for g, s in zip(gradients, state):
                s["mu"] = cell["momentDecay"] * s.get("mu", 0.0) + (1 - cell["momentDecay"]) * g
        m = before if cell["momentTime"] == "before" else [s[slot] for s in state]
        measured = 1 / (1 + math.exp(-cosine(m, gradients, cell["cosineEpsilon"]) / cell["temperature"]))
        first = {"half": 0.5, "one": 1.0, "measured": measured}[cell["firstAlignment"]]
        last = first if t == 1 or "alignment" not in tensor else tensor["alignment"]
        factor = tensor["alignment"] = cell["smoothing"] * last + (1 - cell["smoothing"]) * measured
    for i, (kept, delta) in enumerate(zip(keep, deltas)):
        shrink = decay * theta[i] if decay and rule == "adamw" else 0.0
        if kept and cell["decay"] == "scaled":
            theta[i] -= rate * (factor * (delta + shrink if shrink else delta))
        elif kept:
            theta[i] -= rate * (factor * delta + shrink if shrink else factor * delta)
        elif cell["decay"] == "plain" and shrink:
            theta[i] -= rate * shrink
    return keep


# ---------------------------------------------------------------- the mask stream

M0, M1, W0, W1, WORD = 0xD2511F53, 0xCD9E8D57, 0x9E3779B9, 0xBB67AE85, 0xFFFFFFFF


def philox(c0, c1, c2, c3, k0, k1):
    """Philox4x32-10 (Salmon et al. 2011)."""
    for _ in range(10):
        a, b = M0 * c0, M1 * c2
        c0, c1, c2, c3 = (b >> 32) ^ c1 ^ k0, b & WORD, (a >> 32) ^ c3 ^ k1, a & WORD
        k0, k1 = (k0 + W0) & WORD, (k1 + W1) & WORD
    return c0, c1, c2, c3


def stream_mask(seed, step, base, size, p):
    """Element n = base + i is kept iff half n mod 8 of block floor(n / 8) is below T."""
    if p == 1:
        return [True] * size
    threshold = max(1, math.floor(p * 65536 + 0.5))
    k0, k1 = seed & WORD, seed >> 32
    mask = []
    for block in range(base // 8, (base + size + 7) // 8):
        for word in philox(block & WORD, block >> 32, step, 0, k0, k1):
            mask.append((word & 0xFFFF) < threshold)
            mask.append((word >> 16) < threshold)
    return mask[:size]  # base is a multiple of 64


def stream_tensor(seed, step, base, p):
    """Whether a tensor is kept: one half, in stream 9, where its first element lies."""
    if p == 1:
        return True
    block = base // 8
    word = philox(block & WORD, block >> 32, step, 9, seed & WORD, seed >> 32)[0]
    return (word & 0xFFFF) < max(1, math.floor(p * 65536 + 0.5))


# ---------------------------------------------------------------- the protocol

NAMED = {"NaN": math.nan, "Infinity": INF, "-Infinity": -INF, "-0": -0.0}


def decode(x):
    return NAMED.get(x, x) if isinstance(x, str) else float(x) if is_number(x) else x


def encode(x):
    if x != x:
        return "NaN"
    if x == INF or x == -INF:
        return "Infinity" if x > 0 else "-Infinity"
    return "-0" if x == 0 and math.copysign(1, x) < 0 else x


def numbers(values, size):
    """A flat list: given as one, or as {"fill": x}."""
    return [decode(values["fill"])] * size if isinstance(values, dict) else [decode(x) for x in values]


def at(value, index):
    return decode(value[index] if isinstance(value, list) else value)


def check_length(what, got, expected):
    if got != expected:
        raise ValueError(f"{what} must have {expected} elements, got {got}")


class Protocol:
    def __init__(self, own_masks):
        self.own_masks = own_masks

    def start(self, version):
        features = ["state", "resume", "base", "schedule", "groups", "null-gradient"]
        kinds = {kind: {"granularity": row[3], "factor": row[4]} for kind, row in KINDS.items()}
        return {
            "version": version,
            "implementation": {
                "name": "plain-python" + ("-own-masks" if self.own_masks else ""),
                "language": "python",
                "precision": "float64",
                "rules": list(RULES),
                "masks": ["own"] if self.own_masks else ["stream", "given", "own"],
                "features": features,
                # Other kinds of mask belong to version 2 of the protocol.
                **({"kinds": kinds} if version > 1 else {}),
            },
        }

    def run(self, case):
        rule = case["rule"]
        if rule not in RULES:
            raise ValueError(f"rule must be one of {', '.join(RULES)}, got {rule}")
        parameters, gradients = case["parameters"], case["gradients"]
        sizes = [math.prod(parameter["shape"]) for parameter in parameters]
        keep = case.get("keepProbability", 1)
        masks = case.get("masks", "own")
        first = case.get("firstStep", 1)
        report = case.get("report", ["parameters", "masks", "state"])
        seed = int(case["seed"], 16) if "seed" in case else random.getrandbits(64)
        generator = random.Random(seed)
        if self.own_masks and masks != "own":
            return None
        cell = resolve_mask(case["mask"]) if "mask" in case else None
        if cell is not None and cell["kind"] == "cautious":
            for group in [case] + parameters:
                if group.get("keepProbability") is not None:
                    raise ValueError(f"keepProbability must be left out for cautious, got {group['keepProbability']}")
            if isinstance(masks, list):
                raise ValueError("masks must not be given for cautious: signs decide")
        for group in [case] + parameters:
            for name, value in group.get("hyper", {}).items():
                for item in value if isinstance(value, list) else [value]:
                    check(rule, name, decode(item) if not isinstance(item, bool) else item)
            p = group.get("keepProbability", 1)
            for item in p if isinstance(p, list) else [p]:
                if item is not None:
                    check_keep_probability(decode(item))

        theta = [numbers(parameter["values"], size) for parameter, size in zip(parameters, sizes)]
        for k, size in enumerate(sizes):
            check_length(f"values of {parameters[k]['name']}", len(theta[k]), size)
        h = resolve(rule, {n: v[0] if isinstance(v, list) else v for n, v in case.get("hyper", {}).items()})
        slots = slots_of(rule, h)
        aligned = cell is not None and cell["factor"] == "alignment"
        if aligned and moment_of(rule, h, cell) == "mu":
            slots = slots + ["mu"]
        given = case.get("state")
        counts = [first - 1 if given else 0] * len(sizes)
        state = []
        for k, size in enumerate(sizes):
            tensor = [dict.fromkeys(slots, 0.0) for _ in range(size)]
            for name in slots:
                values = [decode(x) for x in given[name][k]] if given else None
                if name == "ring":
                    window = int(h["window"])
                    for i in range(size):
                        tensor[i]["ring"] = [values[row * size + i] if values else 0.0 for row in range(window)]
                elif values is not None:
                    check_length(f"state {name} of tensor {k}", len(values), size)
                    for i in range(size):
                        tensor[i][name] = values[i]
            state.append(tensor)
        # One number a tensor: its alignment.
        single = [{} for _ in sizes]
        for k, values in enumerate((given or {}).get("alignment", [])):
            if values:
                single[k]["alignment"] = decode(values[0])
        bases, end = [], 0
        for size in sizes:
            bases.append(end)
            end += -(-size // 64) * 64

        steps = []
        for index, step_gradients in enumerate(gradients):
            check_length(f"gradients of step {index + 1}", len(step_gradients), len(sizes))
            used = []
            for k, parameter in enumerate(parameters):
                if step_gradients[k] is None:
                    used.append(None)
                    continue
                gradient = numbers(step_gradients[k], sizes[k])
                check_length(f"gradient {k} of step {index + 1}", len(gradient), sizes[k])
                hyper = {**case.get("hyper", {}), **parameter.get("hyper", {})}
                h = resolve(rule, {n: at(v, index) if not isinstance(v, bool) else v for n, v in hyper.items()})
                p = at(parameter.get("keepProbability", keep), index) if keep is not None else 1
                plain = keep is None or parameter.get("excluded")
                whole = cell is not None and cell["granularity"] == "tensor"
                if plain or (cell is not None and cell["kind"] == "cautious"):
                    mask = [True] * sizes[k]
                elif isinstance(masks, list):
                    mask = [bit == "1" for bit in masks[index][k]]
                    check_length(f"mask {k} of step {index + 1}", len(mask), sizes[k])
                elif p == 1:
                    mask = [True] * sizes[k]
                elif whole:
                    on_stream = masks == "stream"
                    kept = stream_tensor(seed, first + index, bases[k], p) if on_stream else generator.random() < p
                    mask = [kept] * sizes[k]
                elif masks == "stream":
                    mask = stream_mask(seed, first + index, bases[k], sizes[k], p)
                else:
                    mask = [generator.random() < p for _ in range(sizes[k])]
                counts[k] += 1
                if cell is None or plain:
                    step_tensor(rule, theta[k], gradient, state[k], counts[k], h, mask)
                else:
                    mask = step_masked(rule, theta[k], gradient, state[k], single[k], counts[k], h, mask, cell, p)
                used.append("".join("1" if bit else "0" for bit in mask))
            record = {}
            if "parameters" in report:
                record["parameters"] = [[encode(x) for x in tensor] for tensor in theta]
            if "masks" in report:
                record["masks"] = used
            if "state" in report:
                record["state"] = {}
                for name in slots:
                    if name == "ring":
                        rows = range(int(h["window"]))
                        record["state"][name] = [[encode(s["ring"][row]) for row in rows for s in t] for t in state]
                    else:
                        record["state"][name] = [[encode(s[name]) for s in tensor] for tensor in state]
                if aligned:
                    record["state"]["alignment"] = [
                        [encode(tensor["alignment"])] if "alignment" in tensor else [] for tensor in single
                    ]
            steps.append(record)
        return steps

    def serve(self):
        for line in sys.stdin:
            request = json.loads(line)
            if request["cmd"] == "stop":
                break
            if request["cmd"] == "start":
                answer = self.start(min(request["version"], 2))
            else:
                answer = {"seq": request["seq"]}
                try:
                    steps = self.run(request["case"])
                    if steps is None:
                        answer["skipped"] = {"reason": "draws its own masks only"}
                    else:
                        answer["result"] = {"steps": steps}
                except (ValueError, KeyError) as error:
                    answer["errored"] = {"code": "invalid-argument", "message": str(error)}
                except OverflowError as error:
                    answer["skipped"] = {"reason": f"Python raises where IEEE 754 overflows: {error}"}
            print(json.dumps(answer, allow_nan=False), flush=True)


if __name__ == "__main__":
    Protocol("--own-masks" in sys.argv[1:]).serve()
