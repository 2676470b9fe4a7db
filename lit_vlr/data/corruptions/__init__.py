"""Common corruptions of pictures at five severities, bit for bit the same in any process and order.

The kinds and their parameters are those of ImageNet-C: its fifteen, and speckle noise and Gaussian blur of its four
spare ones. The code, and with it every pixel, is not: the released one crashes with current libraries and draws from a
global stream, so that a picture depends on which came before it. Here all that is random comes from a generator of
(seed, uid, corruption, severity). Pictures keep their size: ImageNet-C has all of them at 224 × 224, so that a blur of
one radius is milder on a larger picture.

One file a group: `noise`, `blur`, `weather`, `digital`; each function takes a picture in [0, 1], a level and a
generator.

Reference: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations",
ICLR 2019, Section 3 and appendix.
"""

from __future__ import annotations

from lit_vlr.data.corruptions.kinds import CORRUPTIONS, Corruption, Severity, check_corruption, corrupt
from lit_vlr.data.corruptions.picture import CorruptedPicture

__all__ = ["CORRUPTIONS", "CorruptedPicture", "Corruption", "Severity", "check_corruption", "corrupt"]
