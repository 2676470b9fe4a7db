"""Stages 2 to 5: the language model on text, the projector alone, the two together, then everything."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPVisionModel, LlavaForConditionalGeneration, PreTrainedTokenizerFast
from transformers.modeling_outputs import BaseModelOutputWithPooling

from lit_vlr.data.scenes.layout import Scene
from scripts.tiny_llava.conversations import IMAGE_PREFIX, collate, encode
from scripts.tiny_llava.corpus import conversation, description, facts, simple_question, told_question
from scripts.tiny_llava.schedule import cosine
from scripts.tiny_llava.vision import normalise

Batch = dict[str, Tensor]


def answer_loss(model: LlavaForConditionalGeneration, batch: Batch) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy over answer tokens, and which of them are right.

    The head is applied to the answer positions alone: most positions are image or question.
    """
    labels = batch["labels"][:, 1:]
    inputs: dict[str, Any] = {k: v for k, v in batch.items() if k not in ("labels", "features")}
    if "features" in batch:
        projected = model.model.multi_modal_projector(batch["features"])
        inputs["mm_encoder_outputs"] = {"image": BaseModelOutputWithPooling(pooler_output=list(projected))}
    hidden = model.model(**inputs).last_hidden_state[:, :-1]
    wanted = labels != -100
    logits = model.lm_head(hidden[wanted])
    return F.cross_entropy(logits, labels[wanted]), logits.argmax(-1) == labels[wanted]


class Reader:
    """Makes batches of text or of pictures with conversations, from one generator."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, pictures: np.ndarray, scenes: list[Scene], seed: list[int]
    ) -> None:
        self.tokenizer, self.pictures, self.scenes = tokenizer, pictures, scenes
        self.rng = np.random.default_rng(seed)
        self.features: np.ndarray | None = None
        self.facts = facts()

    def text(self, n: int) -> Batch:
        """Facts, and (half of the rows) questions on a scene told in words."""
        rows = []
        for i in range(n):
            if i % 2:
                picked = self.rng.integers(len(self.facts), size=6)
                rows.append(encode(self.tokenizer, [self.facts[j] for j in picked], ""))
            else:
                scene = self.scenes[self.rng.integers(len(self.scenes))]
                turns = [simple_question(scene, self.rng) for _ in range(4)]
                rows.append(encode(self.tokenizer, turns, description(scene)))
        return collate(rows, self.tokenizer.pad_token_id)

    def told(self, n: int) -> Batch:
        """Scenes told in words, with questions that need facts and simple ones."""
        rows = []
        for i in self.rng.integers(len(self.scenes), size=n):
            scene = self.scenes[i]
            turns = [told_question(scene, self.rng) for _ in range(4)] + [simple_question(scene, self.rng)]
            rows.append(encode(self.tokenizer, turns, description(scene)))
        return collate(rows, self.tokenizer.pad_token_id)

    def pictured(self, n: int, turns: int) -> Batch:
        """Pictures with several questions each."""
        picked = self.rng.integers(len(self.scenes), size=n)
        rows = [encode(self.tokenizer, conversation(self.scenes[i], self.rng, turns), IMAGE_PREFIX) for i in picked]
        batch = collate(rows, self.tokenizer.pad_token_id)
        if self.features is not None:
            return {**batch, "features": torch.from_numpy(self.features[picked]).float()}
        return {**batch, "pixel_values": to_pixels(self.pictures[picked])}

    @torch.no_grad()
    def look(self, tower: CLIPVisionModel) -> None:
        """Run the frozen tower once over every picture: stages that leave it alone then cost a third."""
        hidden = [
            tower(to_pixels(self.pictures[i : i + 256]), output_hidden_states=True).hidden_states[-1][:, 1:].half()
            for i in range(0, len(self.pictures), 256)
        ]
        self.features = torch.cat(hidden).numpy()


def to_pixels(pictures: np.ndarray) -> Tensor:
    """Pictures (n, H, W, 3) of uint8 as the model's pixel values."""
    return normalise(torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div(255))


def train(
    name: str,
    model: LlavaForConditionalGeneration,
    next_batches: Callable[[], list[Batch]],
    groups: list[dict[str, object]],
    steps: int,
    held_out: Batch,
) -> None:
    """One stage. ``groups``: parameters with their peak learning rates; whatever is in none of them is frozen."""
    trained = [p for group in groups for p in group["params"]]  # type: ignore[attr-defined]
    model.requires_grad_(False)
    for p in trained:
        p.requires_grad_(True)
    optimiser = torch.optim.AdamW(groups, weight_decay=0.05, betas=(0.9, 0.98))
    peaks = [group["lr"] for group in optimiser.param_groups]
    started = time.time()
    for step in range(steps):
        for group, peak in zip(optimiser.param_groups, peaks, strict=True):
            group["lr"] = peak * cosine(step, steps, warmup=min(100, steps // 5))
        optimiser.zero_grad()
        loss = 0.0
        for batch in next_batches():
            part, _ = answer_loss(model, batch)
            part.backward()
            loss += float(part.detach())
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        if step % 100 == 99 or step == steps - 1:
            with torch.no_grad():
                held, right = answer_loss(model, held_out)
                blind = ""
                seen = next((k for k in ("pixel_values", "features") if k in held_out), None)
                if seen:  # the control: everybody gets somebody else's picture
                    shuffled = {**held_out, seen: held_out[seen].roll(1, 0)}
                    blind = f" blind {answer_loss(model, shuffled)[1].float().mean():.3f}"
            print(
                f"{name} {step + 1}/{steps} loss {loss:.3f} held-out {held:.3f} tokens right"
                f" {right.float().mean():.3f}{blind} ({time.time() - started:.0f} s)",
                flush=True,
            )
