"""The papers' networks in PyTorch, scaled down, as a judge of those in this folder.

    python3 models/nets/scripts/torch_expectations.py OUT

For each case writes into OUT
- NAME.weights.safetensors: a state dict under torchvision's names, after some training passes, so that running statistics say something;
- NAME.expected.safetensors: `input` (NHWC), `labels`, `eval` (logits in evaluation mode), then of one training pass from the same
  state `train` (logits), `after.*` (running statistics) and `grad.*` (of the mean cross-entropy, in float64).

Gradients are left out where float32 cannot decide them: in a ReLU network many channels deep and few pixels wide, a single input of a ReLU that
changes its sign by rounding moves a gradient by a tenth.

Needs torch alone: the architectures are those of bench/peers/torch_nets.py, and the safetensors bytes are written by hand (safetensors_file.py).
"""
import copy
import os
import sys

import torch
from torch.nn import functional

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "..", "bench", "peers"))
from torch_nets import DenseNet, ResNet  # noqa: E402

sys.path.insert(0, os.path.dirname(__file__))
from safetensors_file import write  # noqa: E402


def case(folder, name, net, batch, size, classes, decidable=True):
    generator = torch.Generator().manual_seed(len(name))
    images = lambda: torch.randn(batch, 3, size, size, generator=generator)
    net.train()
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.dim() == 1:  # scales of 1 and offsets of 0 would hide a mix-up
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
        for _ in range(20):
            net(images())
    write(os.path.join(folder, f"{name}.weights.safetensors"), net.state_dict())
    x, labels = images(), torch.randint(0, classes, (batch,), generator=generator)
    expected = {"input": x.permute(0, 2, 3, 1), "labels": labels}
    expected["eval"] = copy.deepcopy(net).eval()(x)
    exact = copy.deepcopy(net).double()
    logits = net(x)
    functional.cross_entropy(logits, labels).backward()
    functional.cross_entropy(exact(x.double()), labels).backward()
    pairs = [(key, p.grad, q.grad) for (key, p), q in zip(net.named_parameters(), exact.parameters())]
    error = max(((p - q).abs().max() / q.abs().max()).item() for _, p, q in pairs)
    if error > 1e-3 and decidable:
        raise SystemExit(f"{name}: PyTorch's own float32 gradients are off by {error}")
    expected["train"] = logits
    for key, value in net.state_dict().items():
        if "running" in key:
            expected[f"after.{key}"] = value
    for key, _, gradient in pairs if decidable else []:
        expected[f"grad.{key}"] = gradient.float()
    write(os.path.join(folder, f"{name}.expected.safetensors"), expected)


def main(folder):
    torch.manual_seed(1)
    torch.set_num_threads(1)
    case(folder, "resnet18", ResNet(10, 8, [2, 2, 2, 2]), 4, 16, 10)
    bottleneck = {"bottleneck": True, "stem": "imagenet"}
    case(folder, "resnet50", ResNet(7, 8, [3, 4, 6, 3], **bottleneck), 3, 64, 7)
    case(folder, "resnet50-os8", ResNet(7, 4, [3, 4, 6, 3], dilate=2, **bottleneck), 2, 40, 7)
    case(folder, "resnext", ResNet(7, 8, [1, 1, 1, 1], groups=8, group_width=2, **bottleneck), 3, 64, 7)
    resnext = ResNet(7, 16, [3, 4, 6, 3], groups=32, group_width=1, **bottleneck)
    case(folder, "resnext50", resnext, 2, 64, 7, decidable=False)
    case(folder, "resnet14", ResNet(10, 8, [2, 2, 2], shortcut="A"), 4, 16, 10)
    case(folder, "densenet121", DenseNet(10, 4), 3, 16, 10)


main(sys.argv[1])
