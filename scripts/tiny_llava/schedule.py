"""The learning-rate schedule of every stage."""

import math


def cosine(step: int, steps: int, warmup: int) -> float:
    """Linear warm-up to 1, then a half cosine down to 2%."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
