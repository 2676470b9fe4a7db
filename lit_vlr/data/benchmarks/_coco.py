"""What several benchmarks on COCO pictures share."""

from __future__ import annotations

from lit_vlr.data.source import Fetch

TRAIN2014 = Fetch("pictures (13 GB)", "http://images.cocodataset.org/zips/train2014.zip")
VAL2014 = Fetch("pictures (6 GB)", "http://images.cocodataset.org/zips/val2014.zip")
TEST2015 = Fetch("pictures (12 GB)", "http://images.cocodataset.org/zips/test2015.zip")
TRAIN2017 = Fetch("pictures (18 GB)", "http://images.cocodataset.org/zips/train2017.zip")
VAL2017 = Fetch("pictures (1 GB)", "http://images.cocodataset.org/zips/val2017.zip")
TEST2017 = Fetch("pictures (6 GB)", "http://images.cocodataset.org/zips/test2017.zip")
