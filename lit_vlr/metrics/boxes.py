"""Shell over :mod:`lit_vlr.functional.boxes`; conventions are documented there."""

from __future__ import annotations

from lit_vlr.functional import box_iou
from lit_vlr.functional.boxes import Boxes, check_iou_threshold
from lit_vlr.metrics._mean import MeanScore


class BoxIoUAccuracy(MeanScore):
    """Share of boxes that overlap enough: :func:`~lit_vlr.functional.box_iou_accuracy` as a metric.

    Args:
        iou_threshold: smallest overlap that counts, itself included.
        kwargs: for :class:`torchmetrics.Metric`.

    Example:
        >>> metric = BoxIoUAccuracy()
        >>> metric.update([[0, 0, 2, 2]], [[0, 0, 2, 4]])
        >>> metric.update([[0, 0, 2, 2]], [[0, 0, 2, 5]])
        >>> metric.compute()
        tensor(0.5000, dtype=torch.float64)
    """

    def __init__(self, iou_threshold: float = 0.5, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.iou_threshold = check_iou_threshold(iou_threshold)

    def update(self, boxes: Boxes, targets: Boxes) -> None:
        """Add a batch.

        Args:
            boxes: predicted boxes, (B, 4); ``[0, 0, 0, 0]`` for a reply that holds none.
            targets: the right boxes, (B, 4).

        Raises:
            ValueError: for the reasons of :func:`~lit_vlr.functional.box_iou`.
        """
        self._add((box_iou(boxes, targets) >= self.iou_threshold).double().tolist())
