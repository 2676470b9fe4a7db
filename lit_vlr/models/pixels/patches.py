"""The patches that Qwen's vision towers take."""

from __future__ import annotations

from torch import Tensor


def patchify(image: Tensor, patch: int, merge: int, temporal: int) -> Tensor:
    """Cut a picture into patches, those that are merged later next to each other.

    The temporal copies of a patch are one picture: their gradients add up. An attack on the copies themselves would
    find pictures that do not exist.

    Args:
        image: (3, H, W), both sides multiples of ``patch · merge``.
        patch: side of a patch.
        merge: patches a side that the projector merges into one feature.
        temporal: copies of each patch, as if the picture were a film of so many frames.

    Returns:
        (H/patch · W/patch, 3 · temporal · patch²).
    """
    channels, height, width = image.shape
    rows, columns = height // (patch * merge), width // (patch * merge)
    cut = image.reshape(channels, rows, merge, patch, columns, merge, patch)
    ordered = cut.permute(1, 4, 2, 5, 0, 3, 6)  # row, column, row and column in the merged block, channel, y, x
    copied = ordered.unsqueeze(5).expand(-1, -1, -1, -1, -1, temporal, -1, -1)
    return copied.reshape(rows * columns * merge * merge, channels * temporal * patch * patch)
