"""A small decoder of bytes in PyTorch, as a judge of nets/gpt.ts.

    python3 models/nets/scripts/torch_gpt.py OUT

Writes OUT/gpt.weights.safetensors (a state dict) and OUT/gpt.expected.safetensors: `input` [batch, context], `labels`, `eval` (logits) and `grad.*` of the
mean cross-entropy in float64. Needs torch alone.
"""
import copy
import math
import os
import sys

import torch
from torch import nn
from torch.nn import functional

sys.path.insert(0, os.path.dirname(__file__))
from safetensors_file import write  # noqa: E402

HEADS = 4


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)

    def forward(self, x):
        batch, context, width = x.shape
        query, key, value = (
            part.view(batch, context, HEADS, width // HEADS).transpose(1, 2) for part in self.qkv(x).split(width, 2)
        )
        scores = query @ key.transpose(2, 3) / math.sqrt(width // HEADS)
        ahead = torch.ones(context, context, dtype=torch.bool).triu(1)
        mixed = scores.masked_fill(ahead, -math.inf).softmax(3) @ value
        return self.project(mixed.transpose(1, 2).reshape(batch, context, width))


class Perceptron(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.widen = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)

    def forward(self, x):
        x = self.widen(x)
        return self.narrow(0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Perceptron(width)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Gpt(nn.Module):
    def __init__(self, width, layers, context):
        super().__init__()
        self.embedding = nn.Embedding(256, width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 256, bias=False)

    def forward(self, bytes):
        x = self.embedding(bytes) + self.positions.weight
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)).flatten(0, 1)


def main(folder):
    torch.manual_seed(1)
    torch.set_num_threads(1)
    net = Gpt(16, 2, 12)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.dim() == 1:  # scales of 1 and offsets of 0 would hide a mix-up
                parameter.add_(0.2 * torch.randn(parameter.shape))
    write(os.path.join(folder, "gpt.weights.safetensors"), net.state_dict())
    text, labels = torch.randint(0, 256, (3, 12)), torch.randint(0, 256, (36,))
    exact = copy.deepcopy(net).double()
    functional.cross_entropy(exact(text), labels).backward()
    expected = {"input": text, "labels": labels, "eval": net(text)}
    for name, parameter in exact.named_parameters():
        expected[f"grad.{name}"] = parameter.grad.float()
    write(os.path.join(folder, "gpt.expected.safetensors"), expected)


main(sys.argv[1])
