"""A real, small problem that attacks are tested on."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn


class Digits:
    """A small network trained on real digits, and the ones it was not trained on."""

    def __init__(self) -> None:
        data = load_digits()
        images = torch.tensor(data.images / 16, dtype=torch.float32)[:, None]
        images = nn.functional.interpolate(images, size=(16, 16), mode="bilinear").repeat(1, 3, 1, 1)
        labels = torch.tensor(data.target)
        generator = torch.Generator().manual_seed(0)
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            self.net = nn.Sequential(
                nn.Conv2d(3, 8, 3, 2, 1),
                nn.GELU(),
                nn.Conv2d(8, 16, 3, 2, 1),
                nn.GELU(),
                nn.Flatten(),
                nn.Linear(256, 10),
            )
        optimizer = torch.optim.Adam(self.net.parameters(), 5e-3)
        for _ in range(4):
            for rows in torch.randperm(1500, generator=generator).split(64):
                optimizer.zero_grad()
                nn.functional.cross_entropy(self.net(images[rows]), labels[rows]).backward()
                optimizer.step()
        self.net.requires_grad_(False)
        self.images, self.labels = images[1500:1628], labels[1500:1628]

    def loss(self, images: Tensor) -> Tensor:
        return nn.functional.cross_entropy(self.net(images), self.labels, reduction="none")

    def accuracy(self, images: Tensor) -> float:
        return float((self.net(images).argmax(1) == self.labels).float().mean())
