"""Test vectors of Learning Rate Dropout, language-neutral, from a second implementation that shares no code with impl-ref.

    python3 spec/vectors/generate.py          writes masks.json, draws.json, trajectories.json, family.json, errors.json, authors-2019.json

Plain Python 3, no package: integers of any size for Philox, float64 for the rest, one scalar at a time, in the words of spec/rules.ts.
The files follow schema.json. A case is one of the conformance protocol's; "steps" is its answer.
"""
import json
import math
import os

HERE = os.path.dirname(os.path.abspath(__file__))
MASK32 = 0xFFFFFFFF
STREAMS = {"mask": 0, "gradientDropout": 1, "sparseGradients": 2, "gradientNoise": 3, "standardDropout": 4,
           "noisyLabels": 5, "initialisation": 6, "shuffling": 7, "augmentation": 8, "tensorMask": 9}


# --- the stream -------------------------------------------------------------------------------------------------------

def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & MASK32, (p0 >> 32) ^ c[3] ^ k[1], p0 & MASK32]
        k = [(k[0] + 0x9E3779B9) & MASK32, (k[1] + 0xBB67AE85) & MASK32]
    return c


def word(seed, step, stream, n):
    block = n // 4
    return philox([block & MASK32, block >> 32, step, STREAMS[stream]], [seed & MASK32, seed >> 32])[n % 4]


def half(seed, step, stream, n):
    w = word(seed, step, stream, n // 2)
    return w >> 16 if n % 2 else w & 0xFFFF


def bases(sizes):
    out, base = [], 0
    for size in sizes:
        out.append(base)
        base += -(-size // 64) * 64
    return out


def threshold(p):
    return max(1, math.floor(p * 65536 + 0.5))


def mask(seed, step, base, size, p, stream="mask"):
    return [1 if half(seed, step, stream, base + i) < threshold(p) else 0 for i in range(size)]


def uniform(seed, step, stream, n):
    return (word(seed, step, stream, n) + 0.5) / 2**32


# --- the rules, one scalar at a time ------------------------------------------------------------------------------------

DEFAULTS = {
    "sgdm": dict(learningRate=0.1, momentum=0.9, dampening=0.0, nesterov=False, weightDecay=0.0),
    "sgdm-avg": dict(learningRate=0.1, window=10, weightDecay=0.0),
    "rmsprop": dict(learningRate=1e-3, rho=0.99, epsilon=1e-8, epsilonPlacement="outside", momentum=0.0, centered=False, weightDecay=0.0),
    "adam": dict(learningRate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8, weightDecay=0.0, epsilonMode="corrected"),
    "amsgrad": dict(learningRate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8, weightDecay=0.0, maxOf="raw"),
    "radam": dict(learningRate=0.03, beta1=0.9, beta2=0.999, epsilon=1e-8, weightDecay=0.0, variant="torch"),
    "adamw": dict(learningRate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8, weightDecay=0.01, epsilonMode="corrected"),
}


def direction(rule, h, g, s, t):
    """Delta W of one scalar; updates its state s. t counts this scalar's gradients, this one included."""
    if rule == "sgdm":
        if h["momentum"] == 0:
            return g
        s["buf"] = g if t == 1 else h["momentum"] * s["buf"] + (1 - h["dampening"]) * g
        return g + h["momentum"] * s["buf"] if h["nesterov"] else s["buf"]
    if rule == "sgdm-avg":
        s.setdefault("history", []).append(g)
        return sum(s["history"][-h["window"]:]) / h["window"]
    if rule == "rmsprop":
        s["v"] = h["rho"] * s.get("v", 0.0) + (1 - h["rho"]) * g * g
        spread = s["v"]
        if h["centered"]:
            s["gavg"] = h["rho"] * s.get("gavg", 0.0) + (1 - h["rho"]) * g
            spread = max(s["v"] - s["gavg"] ** 2, 0.0)
        outside = h["epsilonPlacement"] == "outside"
        r = g / (math.sqrt(spread) + h["epsilon"]) if outside else g / math.sqrt(spread + h["epsilon"])
        if h["momentum"] == 0:
            return r
        s["buf"] = h["momentum"] * s.get("buf", 0.0) + r
        return s["buf"]
    s["m"] = h["beta1"] * s.get("m", 0.0) + (1 - h["beta1"]) * g
    s["v"] = h["beta2"] * s.get("v", 0.0) + (1 - h["beta2"]) * g * g
    c1, c2 = 1 - h["beta1"] ** t, 1 - h["beta2"] ** t
    mhat, vhat, epsilon = s["m"] / c1, s["v"] / c2, h["epsilon"]
    if rule in ("adam", "adamw"):
        if h["epsilonMode"] == "hat":
            return math.sqrt(c2) / c1 * s["m"] / (math.sqrt(s["v"]) + epsilon)
        return mhat / (math.sqrt(vhat) + epsilon)
    if rule == "amsgrad":
        if h["maxOf"] == "corrected":
            s["vmax"] = max(s.get("vmax", 0.0), vhat)
            return mhat / (math.sqrt(s["vmax"]) + epsilon)
        s["vmax"] = max(s.get("vmax", 0.0), s["v"])
        if h["maxOf"] == "uncorrected":
            return s["m"] / (math.sqrt(s["vmax"]) + epsilon)
        return mhat / (math.sqrt(s["vmax"] / c2) + epsilon)
    rho_inf = 2 / (1 - h["beta2"]) - 1
    rho = rho_inf - 2 * t * h["beta2"] ** t / c2
    if not {"torch": rho > 5, "original": rho >= 5, "paper": rho > 4}[h["variant"]]:
        return mhat
    r = math.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
    if h["variant"] == "paper":
        return r * mhat / (math.sqrt(vhat) + epsilon)
    return r * mhat * math.sqrt(c2) / (math.sqrt(s["v"]) + epsilon)


def at(value, index):
    return value[index] if isinstance(value, list) else value


# --- the family: granularity x draw x factor ----------------------------------------------------------------------------

KINDS = {
    "lrd": dict(granularity="element", draw="bernoulli", factor="one", decay="scaled"),
    "skip-update": dict(granularity="tensor", draw="bernoulli", factor="inverse", decay="scaled"),
    "magma": dict(granularity="tensor", draw="bernoulli", factor="alignment", decay="scaled"),
    "cautious": dict(granularity="element", draw="agreement", factor="mean", decay="plain"),
}
OPTIONS = dict(temperature=2.0, smoothing=0.9, firstAlignment="half", moment="rule", momentDecay=0.9, momentTime="after",
               cosineEpsilon=0.0, meanFloor=1e-3, normalization="mean")


def alignment(o, previous, m, g):
    """Magma's s_t from the cosine of two vectors."""
    mg = math.fsum(a * b for a, b in zip(m, g))
    norms = math.sqrt(math.fsum(a * a for a in m)) * math.sqrt(math.fsum(b * b for b in g))
    cosine = mg / max(norms, o["cosineEpsilon"]) if norms > 0 else 0.0
    measured = 1 / (1 + math.exp(-cosine / o["temperature"]))
    if previous is None:
        if o["firstAlignment"] == "measured":
            return measured
        previous = {"half": 0.5, "one": 1.0}[o["firstAlignment"]]
    return o["smoothing"] * previous + (1 - o["smoothing"]) * measured


def run_family(case):
    """The answer to a case with a `mask`: whole tensors at a time, since factors are a tensor's."""
    rule, first = case["rule"], case.get("firstStep", 1)
    o = {**OPTIONS, **KINDS[case["mask"]["kind"]], **case["mask"]}
    tensors = case["parameters"]
    theta = [list(t["values"]) for t in tensors]
    cells = [[{} for _ in t["values"]] for t in tensors]
    mu = [[0.0] * len(t["values"]) for t in tensors]
    s = [None] * len(tensors)
    counts = [0] * len(tensors)
    place = bases([len(t["values"]) for t in tensors])
    steps = []
    for index, gradients in enumerate(case["gradients"]):
        masks = []
        for k, tensor in enumerate(tensors):
            if gradients[k] is None:
                masks.append(None)
                continue
            counts[k] += 1
            h = {**DEFAULTS[rule], **case.get("hyper", {}), **tensor.get("hyper", {})}
            h = {name: at(value, index) for name, value in h.items()}
            size, excluded = len(theta[k]), tensor.get("excluded", False)
            p = 1 if excluded or o["draw"] == "agreement" else at(tensor.get("keepProbability", case.get("keepProbability", 0.5)), index)
            lam = h["weightDecay"] if rule == "adamw" else 0.0
            g = [x + (0.0 if rule == "adamw" else h["weightDecay"]) * w for x, w in zip(gradients[k], theta[k])]
            own = o["moment"] == "own" or rule == "rmsprop" or (rule == "sgdm" and h["momentum"] == 0)
            slot = {"sgdm": "buf"}.get(rule, "m")
            before = list(mu[k]) if own else [cell.get(slot, 0.0) for cell in cells[k]]
            u = [direction(rule, h, x, cell, counts[k]) for x, cell in zip(g, cells[k])]
            if excluded or p == 1 and o["draw"] == "bernoulli":
                d = [1] * size
            elif o["draw"] == "agreement":
                d = [1 if x > 0 and y > 0 or x < 0 and y < 0 else 0 for x, y in zip(u, g)]
            elif case["masks"] != "stream":
                d = [int(bit) for bit in case["masks"][index][k]]
            elif o["granularity"] == "tensor":
                d = [1 if half(int(case["seed"], 16), first + index, "tensorMask", place[k]) < threshold(p) else 0] * size
            else:
                d = mask(int(case["seed"], 16), first + index, place[k], size, p)
            factor = 1.0
            if not excluded and o["factor"] == "inverse":
                factor = 65536 / threshold(p)
            if not excluded and o["factor"] == "mean" and size > 0:
                factor = size / (sum(d) + 1) if o["normalization"] == "count" else 1 / max(sum(d) / size, o["meanFloor"])
            if not excluded and o["factor"] == "alignment":
                if own:
                    mu[k] = [o["momentDecay"] * a + (1 - o["momentDecay"]) * b for a, b in zip(mu[k], g)]
                after = mu[k] if own else [cell[slot] for cell in cells[k]]
                factor = s[k] = alignment(o, s[k], after if o["momentTime"] == "after" else before, g)
            decay = "scaled" if excluded else o["decay"]
            for i in range(size):
                w, shrink = theta[k][i], lam * theta[k][i]
                if d[i]:
                    theta[k][i] = w - h["learningRate"] * (factor * (u[i] + shrink) if decay == "scaled" else factor * u[i] + shrink)
                elif decay == "plain":
                    theta[k][i] = w - h["learningRate"] * shrink
            masks.append("".join(map(str, d)))
        names = sorted({name for row in cells for cell in row for name in cell})
        state = {name: [[cell.get(name, 0.0) for cell in row] for row in cells] for name in names}
        if any(x is not None for x in s):
            state["alignment"] = [[] if x is None else [x] for x in s]
        if any(any(row) for row in mu):
            state["mu"] = [[] if s[k] is None else list(row) for k, row in enumerate(mu)]
        steps.append({"parameters": [list(t) for t in theta], "masks": masks, "state": state})
    return steps


def run(case):
    """The answer to a case of the conformance protocol."""
    rule, first = case["rule"], case.get("firstStep", 1)
    tensors = case["parameters"]
    theta = [list(t["values"]) for t in tensors]
    state = [[{} for _ in t["values"]] for t in tensors]
    counts = [0] * len(tensors)
    for name, given in case.get("state", {}).items():
        counts = [first - 1] * len(tensors)
        for k, values in enumerate(given):
            for i, value in enumerate(values):
                state[k][i][name] = value
    place = bases([len(t["values"]) for t in tensors])
    steps = []
    for index, gradients in enumerate(case["gradients"]):
        masks = []
        for k, tensor in enumerate(tensors):
            if gradients[k] is None:
                masks.append(None)
                continue
            counts[k] += 1
            h = {**DEFAULTS[rule], **case.get("hyper", {}), **tensor.get("hyper", {})}
            h = {name: at(value, index) for name, value in h.items()}
            p = at(tensor.get("keepProbability", case["keepProbability"]), index)
            size = len(theta[k])
            if tensor.get("excluded") or p is None or p == 1:
                d = [1] * size
            elif case["masks"] == "stream":
                d = mask(int(case["seed"], 16), first + index, place[k], size, p)
            else:
                d = [int(bit) for bit in case["masks"][index][k]]
            for i in range(size):
                w, g = theta[k][i], gradients[k][i]
                coupled = 0.0 if rule == "adamw" else h["weightDecay"]
                step = direction(rule, h, g + coupled * w, state[k][i], counts[k])
                if rule == "adamw":
                    step += h["weightDecay"] * w
                if d[i]:
                    theta[k][i] = w - h["learningRate"] * step
            masks.append("".join(map(str, d)))
        names = sorted({name for cells in state for cell in cells for name in cell} - {"history"})
        steps.append({
            "parameters": [list(t) for t in theta],
            "masks": masks,
            "state": {name: [[cell.get(name, 0.0) for cell in cells] for cells in state] for name in names},
        })
    return steps


# --- the files ----------------------------------------------------------------------------------------------------------

def gradient(step, size, offset=0):
    """A fixed formula: of size about 1, with zeros and numbers of very different magnitude."""
    return [0.0 if (step + i) % 7 == 0 else math.sin(1.7 * step + i + offset) * 10.0 ** (i % 4 - 2) for i in range(size)]


def bits(step, size, offset=0):
    """Given masks: a fixed formula with long runs of 0 and of 1."""
    return "".join("1" if (3 * step + 5 * i + step * i + offset) % 4 in (0, 3) else "0" for i in range(size))


VARIANTS = [
    ("sgdm", {}), ("sgdm", {"momentum": 0.0, "dampening": 0.5}), ("sgdm", {"dampening": 0.25, "weightDecay": 0.01}),
    ("sgdm", {"nesterov": True}), ("sgdm-avg", {"window": 3}), ("sgdm-avg", {"weightDecay": 0.1}),
    ("rmsprop", {}), ("rmsprop", {"epsilonPlacement": "inside", "weightDecay": 0.01}),
    ("rmsprop", {"centered": True}), ("rmsprop", {"momentum": 0.9, "rho": 0.9}),
    ("adam", {}), ("adam", {"epsilonMode": "hat", "weightDecay": 0.01}), ("adam", {"epsilon": 0.1}),
    ("amsgrad", {}), ("amsgrad", {"maxOf": "corrected", "beta2": 0.9}), ("amsgrad", {"maxOf": "uncorrected", "weightDecay": 0.01}),
    ("radam", {}), ("radam", {"variant": "original", "beta2": 0.9}), ("radam", {"variant": "paper", "weightDecay": 0.01}),
    ("adamw", {}), ("adamw", {"epsilonMode": "hat", "weightDecay": 0.5}),
]
W = {"name": "w", "shape": [2, 3], "values": [1.0, -0.5, 0.25, 2.0, -3.0, 1e-3]}
B = {"name": "b", "shape": [3], "values": [0.0, 0.5, -1.0]}
STEPS = 12


def trajectory(ident, requirements, rule, hyper, **more):
    steps = more.pop("steps", STEPS)
    parameters = more.pop("parameters", [W, B])
    case = {
        "rule": rule, "hyper": hyper, "keepProbability": 0.5,
        "masks": [[bits(t, len(q["values"]), k) for k, q in enumerate(parameters)] for t in range(1, steps + 1)],
        "parameters": parameters,
        "gradients": [[gradient(t, len(q["values"]), k) for k, q in enumerate(parameters)] for t in range(1, steps + 1)],
        **more,
    }
    return {"id": ident, "requirements": requirements, "case": case, "steps": run(case)}


def trajectories():
    out = []
    numbers = {"sgdm": "001", "sgdm-avg": "002", "rmsprop": "003", "adam": "004", "amsgrad": "006", "radam": "007", "adamw": "008"}
    for i, (rule, hyper) in enumerate(VARIANTS):
        out.append(trajectory(f"rule-{i + 1:02d}", [f"LRD-RULE-{numbers[rule]}", "LRD-ALG-008"], rule, hyper))
    stream = {"masks": "stream", "seed": "0x0123456789abcdef"}
    out.append(trajectory("stream-01", ["LRD-STREAM-002", "LRD-STREAM-003"], "adam", {}, **stream))
    out.append(trajectory("schedule-01", ["LRD-STATE-003"], "sgdm", {"learningRate": [0.1] * 6 + [0.01] * 6, "weightDecay": [0.0] * 3 + [0.1] * 9},
                          **{**stream, "keepProbability": [1.0] * 4 + [0.3] * 8}))
    nulls = [[None if t in (1, 4, 5) else gradient(t, 6), None if t == 7 else gradient(t, 3, 1)] for t in range(1, STEPS + 1)]
    for rule in ("sgdm", "adam", "radam"):
        out.append(trajectory(f"null-{rule}", ["LRD-STATE-002"], rule, {"weightDecay": 0.1}, **stream, gradients=nulls))
    groups = [{**W, "excluded": True}, {**B, "hyper": {"learningRate": 0.5}, "keepProbability": 0.25}, {**B, "name": "c"}]
    out.append(trajectory("groups-01", ["LRD-STATE-004", "LRD-MASK-007"], "sgdm", {}, **stream, parameters=groups))
    out.append(trajectory("resume-01", ["LRD-STATE-001", "LRD-STATE-005"], "adam", {}, **stream, firstStep=1000, steps=3,
                          state={"m": [[0.1] * 6, [0.2] * 3], "v": [[0.3] * 6, [0.4] * 3]}))
    out.append(trajectory("fresh-01", ["LRD-STATE-005"], "adam", {}, **stream, firstStep=1000, steps=3))
    out.append(trajectory("base-01", ["LRD-MASK-002"], "adam", {}, keepProbability=None, masks="stream", seed="0x1", steps=3))
    return out


FAMILY = [
    ("skip-update", "adam", {}, {}), ("skip-update", "sgdm", {}, {"nesterov": True}), ("skip-update", "rmsprop", {"granularity": "element"}, {}),
    ("skip-update", "adamw", {}, {"weightDecay": 0.5}), ("skip-update", "adamw", {"decay": "plain"}, {"weightDecay": 0.5}),
    ("skip-update", "adamw", {"decay": "masked"}, {"weightDecay": 0.5}), ("skip-update", "radam", {"factor": "one"}, {}),
    ("lrd", "adam", {"factor": "inverse"}, {}), ("lrd", "adamw", {"decay": "plain"}, {"weightDecay": 0.5}), ("lrd", "sgdm", {"granularity": "tensor"}, {}),
    ("magma", "adam", {}, {}), ("magma", "adamw", {"temperature": 0.5}, {"weightDecay": 0.5}), ("magma", "sgdm", {"firstAlignment": "one"}, {}),
    ("magma", "sgdm", {"firstAlignment": "measured"}, {"momentum": 0.0}), ("magma", "rmsprop", {}, {"momentum": 0.9}),
    ("magma", "rmsprop", {"momentDecay": 0.5, "smoothing": 0.0}, {"centered": True}), ("magma", "adam", {"momentTime": "before"}, {}),
    ("magma", "amsgrad", {"moment": "own"}, {}), ("magma", "radam", {"granularity": "element"}, {}), ("magma", "adam", {"cosineEpsilon": 100.0}, {}),
    ("cautious", "adamw", {}, {"weightDecay": 0.5}), ("cautious", "adam", {"normalization": "count"}, {}), ("cautious", "sgdm", {"factor": "one"}, {}),
    ("cautious", "sgdm", {"meanFloor": 0.75}, {"nesterov": True}), ("cautious", "rmsprop", {}, {"momentum": 0.9}), ("cautious", "adamw", {"decay": "scaled"}, {"weightDecay": 0.5}),
    ("cautious", "amsgrad", {}, {}), ("cautious", "radam", {}, {}),
]
FAMILY_REQUIREMENTS = {"lrd": ["LRD-FAM-001"], "skip-update": ["LRD-FAM-003", "LRD-FAM-004"], "magma": ["LRD-FAM-007", "LRD-FAM-008"],
                       "cautious": ["LRD-FAM-010", "LRD-FAM-011"]}


def family():
    out = []
    for i, (kind, rule, options, hyper) in enumerate(FAMILY):
        parameters = [W, {**B, "excluded": True}, {**B, "name": "c"}]
        gradients = [[gradient(t, 6), gradient(t, 3, 1), None if t == 3 else gradient(t, 3, 2)] for t in range(1, STEPS + 1)]
        case = {"rule": rule, "hyper": hyper, "mask": {"kind": kind, **options}, "masks": "stream", "seed": "0x0123456789abcdef",
                "parameters": parameters, "gradients": gradients}
        if kind != "cautious":
            case["keepProbability"] = 0.3 if i % 2 else 0.5
        requirements = FAMILY_REQUIREMENTS[kind] + ["LRD-FAM-002", "LRD-FAM-013"]
        if rule == "adamw":
            requirements.append("LRD-FAM-014")
        if kind == "magma" and (rule == "rmsprop" or options.get("moment") == "own"):
            requirements.append("LRD-FAM-009")
        out.append({"id": f"family-{i + 1:02d}", "requirements": requirements, "case": case, "steps": run_family(case)})
    return out


def mask_vectors():
    out = []
    sizes = [[1], [64], [65], [0], [3, 5], [7, 1, 3]]
    flat = [math.prod(shape) for shape in sizes]
    for seed in (0, 1, 0x0123456789ABCDEF, 2**64 - 1):
        for step in (1, 2, 65536, 2**32 - 1):
            for p in (0.5, 0.3) if step < 3 else (0.7, 2**-16, 1 - 2**-16):
                rows = ["".join(map(str, mask(seed, step, base, size, p))) for base, size in zip(bases(flat), flat)]
                out.append({"seed": f"0x{seed:016x}", "step": step, "keepProbability": p, "threshold": threshold(p), "shapes": sizes, "masks": rows})
    halves = [
        {"seed": f"0x{seed:016x}", "step": step, "stream": stream, "base": base,
         "halves": [half(seed, step, stream, base + i) for i in range(11)]}
        for seed, step, stream, base in [
            (0, 1, "mask", 0), (7, 3, "mask", 2**40), (7, 3, "mask", 2**35 - 64), (7, 3, "gradientDropout", 64),
            (7, 3, "sparseGradients", 64), (7, 3, "standardDropout", 64), (7, 3, "tensorMask", 128), (2**63, 2**32 - 1, "mask", 2**50)]
    ]
    thresholds = [[p, threshold(p)] for p in (2**-16, 1.4 * 2**-16, 1.5 * 2**-16, 0.1, 0.3, 0.5, 0.7, 0.9, 1 - 2**-16, 1 - 2**-17, 1.0)]
    return {"thresholds": thresholds, "halves": halves, "masks": out}


def permutation(seed, epoch, size):
    order = list(range(size))
    for i in range(size - 1, 0, -1):
        j = word(seed, epoch, "shuffling", i) * (i + 1) >> 32
        order[i], order[j] = order[j], order[i]
    return order


def normal(seed, step, n):
    pair = n - n % 2
    radius = math.sqrt(-2 * math.log(uniform(seed, step, "gradientNoise", pair)))
    angle = 2 * math.pi * uniform(seed, step, "gradientNoise", pair + 1)
    return radius * (math.sin(angle) if n % 2 else math.cos(angle))


def noisy(seed, step, labels, classes, rate):
    out = []
    for i, label in enumerate(labels):
        if uniform(seed, step, "noisyLabels", 2 * i) >= rate:
            out.append(label)
            continue
        c = word(seed, step, "noisyLabels", 2 * i + 1) * (classes - 1) >> 32
        out.append(c if c < label else c + 1)
    return out


def draw_vectors():
    seeds = (0, 0x0123456789ABCDEF)
    labels = [i % 10 for i in range(40)]
    return {
        "uniforms": [{"seed": f"0x{s:016x}", "step": 3, "stream": "augmentation", "base": 5, "values": [uniform(s, 3, "augmentation", 5 + i) for i in range(6)]} for s in seeds],
        "normals": [{"seed": f"0x{s:016x}", "step": 3, "base": 64, "values": [normal(s, 3, 64 + i) for i in range(5)]} for s in seeds],
        "permutations": [{"seed": f"0x{s:016x}", "epoch": e, "order": permutation(s, e, n)} for s in seeds for e, n in ((1, 1), (1, 10), (2, 10), (7, 33))],
        "initialValues": [{"seed": f"0x{s:016x}", "sizes": [3, 65, 2], "bounds": [0.5, 0.1, 2.0],
                           "values": [[bound * (2 * uniform(s, 0, "initialisation", base + i) - 1) for i in range(size)]
                                      for size, base, bound in zip([3, 65, 2], bases([3, 65, 2]), [0.5, 0.1, 2.0])]} for s in seeds],
        "noisyLabels": [{"seed": f"0x{s:016x}", "step": 2, "classes": 10, "rate": 0.3, "labels": labels, "values": noisy(s, 2, labels, 10, 0.3)} for s in seeds],
    }


def error_vectors():
    base = {"rule": "adam", "keepProbability": 0.5, "masks": "stream", "seed": "0x1",
            "parameters": [{"name": "w", "shape": [2], "values": [1.0, 2.0]}], "gradients": [[[1.0, 1.0]]]}
    wrong = [
        ("keepProbability", "LRD-ERROR-001", {"keepProbability": 0}), ("keepProbability", "LRD-ERROR-001", {"keepProbability": 1.5}),
        ("keepProbability", "LRD-ERROR-001", {"keepProbability": -0.5}), ("keepProbability", "LRD-ERROR-001", {"keepProbability": 2**-17}),
        ("keepProbability", "LRD-ERROR-001", {"keepProbability": [0]}),
        ("learningRate", "LRD-ERROR-002", {"hyper": {"learningRate": -1}}), ("beta1", "LRD-ERROR-002", {"hyper": {"beta1": 1}}),
        ("beta2", "LRD-ERROR-002", {"hyper": {"beta2": -0.1}}), ("epsilon", "LRD-ERROR-002", {"hyper": {"epsilon": 0}}),
        ("weightDecay", "LRD-ERROR-002", {"hyper": {"weightDecay": -1}}), ("epsilonMode", "LRD-ERROR-002", {"hyper": {"epsilonMode": "outside"}}),
        ("hyper", "LRD-ERROR-002", {"hyper": {"momentum": 0.9}}), ("rule", "LRD-ERROR-002", {"rule": "adagrad"}),
        ("nesterov", "LRD-ERROR-002", {"rule": "sgdm", "hyper": {"nesterov": 1}}),
        ("window", "LRD-ERROR-002", {"rule": "sgdm-avg", "hyper": {"window": 2.5}}),
        ("maxOf", "LRD-ERROR-002", {"rule": "amsgrad", "hyper": {"maxOf": "vhat"}}),
        ("variant", "LRD-ERROR-002", {"rule": "radam", "hyper": {"variant": "keras"}}),
        ("gradient", "LRD-ERROR-004", {"gradients": [[[1.0]]]}), ("gradients", "LRD-ERROR-004", {"gradients": [[]]}),
        ("mask", "LRD-ERROR-004", {"masks": [["1"]]}), ("state", "LRD-ERROR-004", {"firstStep": 2, "state": {"m": [[1.0]], "v": [[1.0]]}}),
        ("firstStep", "LRD-ERROR-004", {"firstStep": 0}),
        ("seed", "LRD-ERROR-005", {"seed": "0x10000000000000000"}), ("seed", "LRD-ERROR-005", {"seed": "12"}),
        ("mask.kind", "LRD-FAM-015", {"mask": {"kind": "skip"}}), ("mask.temperature", "LRD-FAM-015", {"mask": {"kind": "magma", "temperature": 0}}),
        ("mask.temperature", "LRD-FAM-015", {"mask": {"kind": "skip-update", "temperature": 2}}), ("mask", "LRD-FAM-015", {"mask": {"kind": "magma", "tau": 2}}),
        ("mask.smoothing", "LRD-FAM-015", {"mask": {"kind": "magma", "smoothing": 1}}), ("mask.factor", "LRD-FAM-015", {"mask": {"kind": "magma", "factor": "mean"}}),
        ("mask.granularity", "LRD-FAM-015", {"mask": {"kind": "skip-update", "granularity": "row"}}),
        ("mask.firstAlignment", "LRD-FAM-015", {"mask": {"kind": "magma", "firstAlignment": 0.5}}),
        ("keepProbability", "LRD-FAM-015", {"mask": {"kind": "cautious"}}), ("mask.decay", "LRD-FAM-015", {"mask": {"kind": "lrd", "decay": "none"}}),
        ("mask.meanFloor", "LRD-FAM-015", {"mask": {"kind": "cautious", "meanFloor": 0}, "keepProbability": None}),
        ("keepProbability", "LRD-FAM-015", {"mask": {"kind": "magma"}, "keepProbability": 0}),
    ]
    return [{"id": f"error-{i + 1:02d}", "requirements": [requirement], "argument": argument, "code": "invalid-argument", "case": {**base, **change}}
            for i, (argument, requirement, change) in enumerate(wrong)]


def authors(rule, h, theta, g, s, t, d):
    """What the authors' cifar10/*_lrd.py do to one scalar with mask bit d (c64ac01, 2019). Comments name what departs from the rules above."""
    decay = h["weightDecay"]
    if rule == "sgdm":
        g = g + decay * theta
        s["buf"] = g if t == 1 else h["momentum"] * s["buf"] + (1 - h["dampening"]) * g
        return theta - h["learningRate"] * d * s["buf"]  # `nesterov` is accepted and ignored
    if rule == "adam":
        g = g + decay * theta
        s["m"] = h["beta1"] * s.get("m", 0.0) + (1 - h["beta1"]) * g
        s["v"] = h["beta2"] * s.get("v", 0.0) + (1 - h["beta2"]) * g * g
        size = h["learningRate"] * math.sqrt(1 - h["beta2"] ** t) / (1 - h["beta1"] ** t)
        return theta - s["m"] * (size / (math.sqrt(s["v"]) + h["epsilon"]) * d)  # epsilon hat
    masked = g * d  # before L2, which therefore never reaches the numerator
    g = g + decay * theta
    s["v"] = h["rho"] * s.get("v", 0.0) + (1 - h["rho"]) * g * g
    average = math.sqrt(s["v"]) + h["epsilon"]
    if h["momentum"] == 0:
        return theta - h["learningRate"] * masked / average
    s["buf"] = h["momentum"] * s.get("buf", 0.0) + g / average
    return theta - h["learningRate"] * s["buf"]  # the mask is not applied


AUTHORS = [
    ("sgdm", {"momentum": 0.9, "weightDecay": 5e-4}, "their CIFAR-10 setting; equal to the rule"),
    ("sgdm", {"momentum": 0.9, "nesterov": True}, "bug: nesterov is ignored"),
    ("sgdm", {"momentum": 0.9, "dampening": 0.5}, "equal to the rule"),
    ("adam", {"weightDecay": 5e-4}, "their CIFAR-10 setting; epsilonMode hat"),
    ("rmsprop", {}, "without decay and momentum equal to the rule"),
    ("rmsprop", {"weightDecay": 5e-4}, "their CIFAR-10 setting; bug: L2 is missing from the numerator"),
    ("rmsprop", {"momentum": 0.9}, "bug: the mask is not applied"),
]


def authors_vectors():
    out = []
    for i, (rule, hyper, note) in enumerate(AUTHORS):
        h = {**DEFAULTS[rule], **hyper}
        theta = [[float(x) for x in q["values"]] for q in (W, B)]
        state = [[{} for _ in tensor] for tensor in theta]
        gradients = [[gradient(t, 6), gradient(t, 3, 1)] for t in range(1, STEPS + 1)]
        masks = [[bits(t, 6), bits(t, 3, 1)] for t in range(1, STEPS + 1)]
        steps = []
        for t in range(1, STEPS + 1):
            for k, tensor in enumerate(theta):
                for j in range(len(tensor)):
                    tensor[j] = authors(rule, h, tensor[j], gradients[t - 1][k][j], state[k][j], t, int(masks[t - 1][k][j]))
            steps.append({"parameters": [list(tensor) for tensor in theta], "masks": masks[t - 1], "state": {}})
        case = {"rule": rule, "hyper": hyper, "keepProbability": 0.5, "masks": masks, "parameters": [W, B], "gradients": gradients}
        out.append({"id": f"authors-2019-{i + 1:02d}", "requirements": ["LRD-DEC-006"], "note": note, "case": case, "steps": steps})
    return out


def write(name, kind, content):
    with open(os.path.join(HERE, name), "w") as file:
        json.dump({"$schema": "./schema.json", "kind": kind, "version": 1, **content}, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    write("masks.json", "masks", mask_vectors())
    write("draws.json", "draws", draw_vectors())
    write("trajectories.json", "trajectories", {"vectors": trajectories()})
    write("family.json", "family", {"vectors": family()})
    write("errors.json", "errors", {"vectors": error_vectors()})
    write("authors-2019.json", "authors-2019", {"vectors": authors_vectors()})
