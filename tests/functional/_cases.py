"""Inputs shared by the tests of selective metrics."""

import json
import math
from pathlib import Path

from hypothesis import strategies as st

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "selective_metrics.json").read_text(encoding="utf-8"))

# Few distinct values, so that ties are the rule; both infinities are legal scores.
CONFIDENCES = st.sampled_from([-math.inf, -2.0, 0.1, 0.5, 0.5000001, 0.9, math.inf])
ACCURACIES = st.sampled_from([0.0, 0.3, 0.6, 0.9, 1.0])
# Six rows: the oracles run through all 720 orders where everything is tied.
ROWS = st.lists(st.tuples(CONFIDENCES, ACCURACIES), min_size=1, max_size=6)


def columns(rows):
    return [row[0] for row in rows], [row[1] for row in rows]
