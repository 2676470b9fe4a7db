"""CIDEr-D of captions, through the pure-Python part of ``pycocoevalcap``; no Java."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lit_vlr.functional._text import check_references, check_text
from lit_vlr.functional.declining import ABSTENTION_PHRASES, is_abstention
from lit_vlr.functional.pairing import pair_by_id

_CLITIC = re.compile(r"(n't|'(?:s|re|ve|ll|d|m))\b")
_TOKEN = re.compile(
    r"n't\b|'(?:s|re|ve|ll|d|m)\b"  # what the line above has split off
    r"|[^\W\d_]\.(?:[^\W\d_]\.)+"  # abbreviations: u.s.
    r"|\w+(?:[-'/.,:]\w+)*"  # words and numbers with a mark inside: t-shirt, o'clock, 1,000, 5:30
    r"|[$%&#@+=/*]"  # the marks that carry a meaning
)


class CaptionScores(NamedTuple):
    """CIDEr-D of a set of captions.

    Attributes:
        mean: the score of the set, in [0, 10]; papers print it times 100.
        per_image: the score of each image, by id.
    """

    mean: float
    per_image: dict[str, float]


def cider(
    predictions: Mapping[str, str],
    references: Mapping[str, Sequence[str]],
    abstention_phrases: Sequence[str] = ABSTENTION_PHRASES,
) -> CaptionScores:
    """Consensus of each caption with the references of its image, weighted by how telling its words are.

    This is CIDEr-D (clipped counts, Gaussian length penalty with sigma 6, n-grams up to 4, times 10), which COCO,
    Flickr30k and NoCaps report as CIDEr. A word is telling if few images *of the references given here* use it: score
    a whole set at once, never batches, and do not compare sets of different images.

    Tokenisation: :func:`tokenize_caption`, on both sides, instead of the Java tokenizer of the original, which needs a
    Java runtime. Say so beside the figure.

    A caption that declines is scored as an empty one, 0.

    Args:
        predictions: image id -> caption.
        references: image id -> what people said, the same ids, at least two images: of one alone no word is telling.
        abstention_phrases: see :func:`~lit_vlr.functional.is_abstention`.

    Raises:
        ImportError: if ``pycocoevalcap`` is not installed: ``pip install 'lit-vlr[caption]'``.
        TypeError: for ids or captions that are no strings.
        ValueError: for missing or extra ids, fewer than two images, no or blank references.

    Reference:
        Vedantam et al., "CIDEr: Consensus-based Image Description Evaluation", CVPR 2015; CIDEr-D is its
        variant against gaming.

    Example:
        >>> people = {"1": ["a red kite in the sky", "a kite"], "2": ["two dogs on a beach", "dogs"]}
        >>> cider({"1": "a red kite", "2": "unanswerable"}, people)  # doctest: +SKIP
        CaptionScores(mean=1.409..., per_image={'1': 2.818..., '2': 0.0})
    """
    scorer = load_scorer()
    candidates, consensus = {}, {}
    for uid, prediction, captions in pair_by_id(predictions.items(), references.items()):
        check_text("predictions", prediction)
        said = check_references("references", captions)
        declined = is_abstention(prediction, abstention_phrases)
        candidates[uid] = ["" if declined else " ".join(tokenize_caption(prediction))]
        consensus[uid] = [" ".join(tokenize_caption(caption)) for caption in said]
    if len(consensus) < 2:
        raise ValueError(
            "Expected `references` of at least two images but got 1; with one image every word is in all images and "
            "weighs nothing: score the whole set"
        )
    mean, scores = scorer.compute_score(consensus, candidates)
    return CaptionScores(float(mean), {uid: float(score) for uid, score in zip(consensus, scores, strict=True)})


def load_scorer() -> Any:  # noqa: ANN401 - an untyped, optional package
    """The scorer of ``pycocoevalcap``, with the remedy in the error where it is missing."""
    try:
        from pycocoevalcap.cider.cider import Cider
    except ImportError as error:
        raise ImportError(
            "Expected the package `pycocoevalcap` for CIDEr but it is not installed; run pip install 'lit-vlr[caption]'"
        ) from error
    return Cider()


def tokenize_caption(text: str) -> list[str]:
    """Lowercase words, numbers and meaningful marks; punctuation dropped, clitics split off.

    After the Penn Treebank conventions of the original: "it's" is two tokens, "isn't" is "is" and "n't", "cannot" is
    "can" and "not", a hyphenated word is one token, and ``. , ; : ! ? -`` and quotation marks are dropped. The original
    differs in that it keeps the period of titles ("dr."), splits "gonna" and "wanna", glues sentences without a space
    between them, and keeps brackets as tokens.

    >>> tokenize_caption("A man's t-shirt isn't red, it's $5!")
    ['a', 'man', "'s", 't-shirt', 'is', "n't", 'red', 'it', "'s", '$', '5']
    """
    check_text("text", text)
    text = text.lower().replace("’", "'")
    text = re.sub(r"\bcannot\b", "can not", text)
    return _TOKEN.findall(_CLITIC.sub(r" \1", text))
