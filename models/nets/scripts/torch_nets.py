"""The papers' networks in PyTorch, scaled down, as a judge of those in this folder.

    python3 models/nets/scripts/torch_nets.py OUT

For each case writes into OUT
- NAME.weights.safetensors: a state dict under torchvision's names, after some training passes, so that running statistics say something;
- NAME.expected.safetensors: `input` (NHWC), `labels`, `eval` (logits in evaluation mode), then of one training pass from the same
  state `train` (logits), `after.*` (running statistics) and `grad.*` (of the mean cross-entropy, in float64).

Gradients are left out where float32 cannot decide them: in a ReLU network many channels deep and few pixels wide, a single input of a ReLU that
changes its sign by rounding moves a gradient by a tenth.

Needs torch alone: the architectures are written out from their papers and torchvision's documentation, and the safetensors bytes by hand.
"""
import copy
import json
import os
import struct
import sys

import torch
from torch import nn
from torch.nn import functional


def conv(inputs, outputs, size, stride=1, dilation=1, groups=1):
    padding = dilation * (size - 1) // 2
    return nn.Conv2d(inputs, outputs, size, stride, padding, dilation, groups, bias=False)


class Block(nn.Module):
    """A residual block: two 3 x 3 convolutions, or the bottleneck. shortcut "A" has no parameters."""

    def __init__(self, inputs, filters, outputs, stride, dilation, groups, bottleneck, shortcut):
        super().__init__()
        self.bottleneck, self.outputs, self.stride, self.shortcut = bottleneck, outputs, stride, shortcut
        if bottleneck:
            self.conv1 = conv(inputs, filters, 1)
            self.conv2 = conv(filters, filters, 3, stride, dilation, groups)
            self.conv3 = conv(filters, outputs, 1)
            self.bn3 = nn.BatchNorm2d(outputs)
        else:
            self.conv1 = conv(inputs, filters, 3, stride, dilation)
            self.conv2 = conv(filters, filters, 3, 1, dilation)
        self.bn1, self.bn2 = nn.BatchNorm2d(filters), nn.BatchNorm2d(filters)
        if shortcut == "B" and (stride != 1 or inputs != outputs):
            self.downsample = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.bottleneck:
            y = self.bn3(self.conv3(functional.relu(y)))
        if hasattr(self, "downsample"):
            x = self.downsample(x)
        elif self.shortcut == "A" and self.stride == 2:
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.outputs - x.shape[1]))
        return functional.relu(y + x)


class ResNet(nn.Module):
    def __init__(
        self, classes, width, blocks, bottleneck=False, stem="cifar", groups=1, group_width=None, dilate=0, shortcut="B"
    ):
        """dilate: how many of the last stages dilate instead of striding."""
        super().__init__()
        self.stem = stem
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False) if stem == "imagenet" else conv(3, width, 3)
        self.bn1 = nn.BatchNorm2d(width)
        self.stages = len(blocks)
        inputs, dilation = width, 1
        for stage, count in enumerate(blocks):
            planes = width * 2**stage
            filters = planes * (group_width or width) // width * groups
            outputs = planes * (4 if bottleneck else 1)
            dilates = stage >= len(blocks) - dilate
            stride = 2 if stage > 0 and not dilates else 1
            first = dilation
            dilation *= 2 if dilates else 1
            layers = []
            for index in range(count):
                here = (stride, first) if index == 0 else (1, dilation)
                layers.append(Block(inputs, filters, outputs, *here, groups, bottleneck, shortcut))
                inputs = outputs
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x)))
        if self.stem == "imagenet":
            x = functional.max_pool2d(x, 3, 2, 1)
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        return self.fc(x.mean((2, 3)))


class DenseLayer(nn.Module):
    def __init__(self, inputs, growth):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(inputs), conv(inputs, 4 * growth, 1)
        self.norm2, self.conv2 = nn.BatchNorm2d(4 * growth), conv(4 * growth, growth, 3)

    def forward(self, x):
        y = self.conv1(functional.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(functional.relu(self.norm2(y)))], 1)


class Transition(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(inputs), conv(inputs, outputs, 1)

    def forward(self, x):
        return functional.avg_pool2d(self.conv(functional.relu(self.norm(x))), 2)


class DenseNet(nn.Module):
    """DenseNet-121 with the 3 x 3 stem of CIFAR."""

    def __init__(self, classes, growth):
        super().__init__()
        channels = 2 * growth
        self.features = nn.Sequential()
        self.features.add_module("conv0", conv(3, channels, 3))
        for block, count in enumerate([6, 12, 24, 16]):
            layers = nn.Sequential()
            for index in range(count):
                layers.add_module(f"denselayer{index + 1}", DenseLayer(channels, growth))
                channels += growth
            self.features.add_module(f"denseblock{block + 1}", layers)
            if block < 3:
                self.features.add_module(f"transition{block + 1}", Transition(channels, channels // 2))
                channels //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(channels))
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x):
        return self.classifier(functional.relu(self.features(x)).mean((2, 3)))


def write(path, tensors):
    header, data = {"__metadata__": {"format": "pt"}}, []
    offset = 0
    for name, tensor in tensors.items():
        kind = {torch.float32: "F32", torch.int64: "I64"}[tensor.dtype]
        raw = tensor.detach().contiguous().numpy().tobytes()
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [offset, offset + len(raw)]}
        offset += len(raw)
        data.append(raw)
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(data))


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
