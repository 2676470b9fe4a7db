"""Sets that are larger than memory: tar files of samples, of which nothing is read before it is needed.

A shard is a plain tar file of pairs ``000000007.json`` and ``000000007.jpg`` (the layout of WebDataset). Beside it lies
an index of where each member stands, 32 bytes a sample, which is mapped and not read; and for the whole set
``set.json`` with the task, and ``images.txt`` with the keys of all pictures, so that leakage is found without a walk
through the shards.
"""

from __future__ import annotations

from lit_vlr.data.shards.read import ShardPicture, ShardSamples, ShardSet
from lit_vlr.data.shards.write import write_shards

__all__ = ["ShardPicture", "ShardSamples", "ShardSet", "write_shards"]
