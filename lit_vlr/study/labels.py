"""The labels that a cell learns from: every training question, as the peer answered it that was trained without it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lit_vlr.data.splits import ImageKey, image_key
from lit_vlr.errors import UserError
from lit_vlr.predictions import PredictionWriter, read_manifest, read_predictions
from lit_vlr.study.datasets import data_module, data_settings, training_samples
from lit_vlr.study.peers import peers_of
from lit_vlr.study.plan import Cell
from lit_vlr.types import Prediction, Sample


def write_labels(cell: Cell) -> Path:
    """Write the answers of all peers into one file, whole or not at all.

    Raises:
        UserError: if they are not answers to all training questions, each once, whole pictures by one peer.
        PredictionsFormatError: for answers that cannot be used.
    """
    peers = peers_of(cell)
    if cell.labels is None:
        raise ValueError(f"Expected a cell with peers but {cell.name} has none; give its arm `peers`")
    answered = [read_predictions(peer.answers) for peer in peers]
    check_labels(answered, training_samples(data_module(*data_settings(cell, "fit"))), cell.name)
    data = f"{len(peers)} folds, each answered by the peer that was trained without it"
    changed = {"set": "labels", "data": data, "threshold": None, "checkpoint": None}
    with PredictionWriter(cell.labels, read_manifest(peers[0].answers) | changed) as writer:
        for predictions in answered:
            for prediction in predictions:
                writer.write(prediction)
    return cell.labels


def check_labels(answered: Iterable[Iterable[Prediction]], training: Iterable[Sample], name: str) -> None:
    """Refuse answers of peers that cannot be what is learned from.

    Args:
        answered: the answers of each peer to the fold that it left out.
        training: the questions that are to be labelled.
        name: whose peers they are.

    Raises:
        UserError: naming a question that has no answer, or two, or one that cannot be scored; one that is not trained
            on; or a picture that questions in two folds are about, so that each of two peers was trained on it.
    """
    remedy = f"move the folder {name} away to run its peers again"
    peer_of: dict[str, int] = {}
    for fold, predictions in enumerate(answered):
        for prediction in predictions:
            uid = prediction.uid
            if uid in peer_of:
                raise UserError(
                    f"Expected one peer of {name} to leave {uid} out but both {peer_of[uid]} and {fold} do; {remedy}"
                )
            if prediction.accuracy is None:
                raise UserError(
                    f"Expected answers of the peers of {name} that can be scored but {uid} has no annotators' answers; "
                    "train on a labelled set"
                )
            peer_of[uid] = fold
    of_picture: dict[ImageKey, int] = {}
    trained_on: set[str] = set()
    for sample in training:
        trained_on.add(sample.uid)
        if sample.uid not in peer_of:
            raise UserError(
                f"Expected a peer of {name} to leave {sample.uid} out but it is in no fold; use a data module whose "
                f"`folds` cut all that it trains on, and {remedy}"
            )
        fold = peer_of[sample.uid]
        if (other := of_picture.setdefault(image_key(sample), fold)) != fold:
            raise UserError(
                f"Expected one peer of {name} to leave the picture of {sample.uid} out but both {other} and {fold} do, "
                "for some of its questions; use a data module whose `folds` cut by picture"
            )
    if more := [uid for uid in peer_of if uid not in trained_on]:
        raise UserError(
            f"Expected the peers of {name} to answer what it is trained on but {len(more)} other questions are "
            f"answered, such as {more[0]}; {remedy}"
        )
