"""Stage 1: the vision tower alone learns to say, at every patch, what stands in its quarter of the picture.

A ViT trained through a language model from scratch on faint detail learns the prior and nothing else (tried); dense
labels give 64 targets a picture instead of one and break that.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPVisionModel

from scripts.tiny_llava.scenes import NAMES, cell_labels, draw_many
from scripts.tiny_llava.schedule import cosine

_CLASSES = (len(NAMES) + 1, 6, 4, 2)


def patches_to_cells(grid: int) -> Tensor:
    """Which of the four quarters each patch belongs to, (grid²,), row by row."""
    half = torch.arange(grid) // (grid // 2)
    return (2 * half[:, None] + half[None, :]).flatten()


class DenseHeads(nn.Module):
    """One linear classifier an attribute on every patch token; thrown away after this stage."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.heads = nn.ModuleList(nn.Linear(width, n) for n in _CLASSES)

    def forward(self, tokens: Tensor, labels: Tensor, cells: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Cross-entropy over attributes, and per attribute which *cells* are right by their patches' mean logits."""
        tokens = self.norm(tokens)
        patch_labels = labels[:, cells]
        losses, correct = [], []
        for i, head in enumerate(self.heads):
            logits = head(tokens)
            losses.append(F.cross_entropy(logits.flatten(0, 1), patch_labels[..., i].flatten(), ignore_index=-1))
            one_hot = F.one_hot(cells, 4).to(logits.dtype)
            by_cell = torch.einsum("bpc,pk->bkc", logits, one_hot)
            known = labels[..., i] >= 0
            correct.append((by_cell.argmax(-1) == labels[..., i])[known].float())
        return torch.stack(losses).sum(), correct


def train_vision(
    tower: CLIPVisionModel, seed: int, n_pictures: int, steps: int, batch: int = 64, lr: float = 1.5e-3
) -> None:
    """Train ``tower`` in place; prints the held-out accuracy of each attribute as it goes."""
    pictures, scenes = draw_many(0, n_pictures, seed)
    labels = torch.from_numpy(cell_labels(scenes))
    held_pictures, held_scenes = draw_many(10_000_000, 512, seed)
    held_labels = torch.from_numpy(cell_labels(held_scenes))
    heads = DenseHeads(tower.config.hidden_size)
    cells = patches_to_cells(tower.config.image_size // tower.config.patch_size)
    parameters = [*tower.parameters(), *heads.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=lr, weight_decay=0.05, betas=(0.9, 0.98))
    order = np.random.default_rng([seed, 1])
    started = time.time()

    def tokens(batch_pictures: np.ndarray) -> Tensor:
        images = torch.from_numpy(batch_pictures).permute(0, 3, 1, 2).float().div(255)
        hidden = tower(normalise(images), output_hidden_states=True).hidden_states[-1]
        return hidden[:, 1:]

    for step in range(steps):
        rows = order.integers(n_pictures, size=batch)
        for group in optimiser.param_groups:
            group["lr"] = lr * cosine(step, steps, warmup=200)
        loss, _ = heads(tokens(pictures[rows]), labels[rows], cells)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        if step % 200 == 199 or step == steps - 1:
            with torch.no_grad():
                _, correct = heads(tokens(held_pictures), held_labels, cells)
            shown = " ".join(f"{c.mean():.3f}" for c in correct)
            print(
                f"vision {step + 1}/{steps} loss {loss:.3f} held-out {shown} ({time.time() - started:.0f} s)",
                flush=True,
            )


def normalise(images: Tensor) -> Tensor:
    """The model's own normalisation: [0, 1] to [-1, 1]."""
    return (images - 0.5) / 0.5
