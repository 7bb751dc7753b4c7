"""The papers' networks in PyTorch: what the benchmarks time, and the judge of those in models/nets.

Written out from their papers and torchvision's documentation; parameters have torchvision's names.
"""
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


def fcnet():
    """784-1000-1000-10."""
    return nn.Sequential(
        nn.Linear(784, 1000), nn.ReLU(), nn.Linear(1000, 1000), nn.ReLU(), nn.Linear(1000, 10)
    )
