"""The original's tokenizer from its own file, ``qwen.tiktoken``: byte-level BPE ranks, as a fast tokenizer.

A ranks file has a token a line, in base64, with its rank. It merges the adjacent pair whose *concatenation* has the
lowest rank, where a list of merges ranks the pairs. Every way to cut a token in two listed tokens becomes a merge; that
is the same, since of these only the pair that the lower ranks themselves lead to ever occurs.
"""

from __future__ import annotations

import base64
import binascii
import shutil
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import TokenizersBackend
from transformers.convert_slow_tokenizer import bytes_to_unicode

from lit_vlr.errors import CheckpointError

RANKS_FILE = "qwen.tiktoken"
END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
IMAGE_START, IMAGE_END, IMAGE_PAD = "<img>", "</img>", "<imgpad>"
GROUNDING_TOKENS = ("<ref>", "</ref>", "<box>", "</box>", "<quad>", "</quad>")
SPECIAL_TOKENS = (
    *(END_OF_TEXT, TURN_START, TURN_END),
    *(f"<|extra_{i}|>" for i in range(205)),
    *GROUNDING_TOKENS,
    *(IMAGE_START, IMAGE_END, IMAGE_PAD),
)
"""In the order of their ids, which follow the last rank."""

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""What text is cut into before merging: contractions, words, single digits, punctuation, space."""


def read_ranks(path: Path) -> dict[bytes, int]:
    """Read a ranks file.

    Raises:
        CheckpointError: if it is missing or a line of it malformed, ranks do not count from 0, or a byte has none.
    """
    if not path.is_file():
        raise CheckpointError(
            f"Expected the tokenizer's ranks at {path} but there is no such file; copy {RANKS_FILE} from the original "
            "checkpoint folder"
        )
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error) as error:
            raise CheckpointError(
                f"Expected `base64 rank` in line {number} of {path} but got {line[:60]!r}; copy the file again"
            ) from error
    if sorted(ranks.values()) != list(range(len(ranks))):
        raise CheckpointError(f"Expected ranks from 0 on, each once, in {path} but some are missing or double")
    lacking = [byte for byte in range(256) if bytes([byte]) not in ranks]
    if lacking:
        raise CheckpointError(f"Expected a rank for every byte in {path} but {len(lacking)} have none: {lacking[:3]}")
    return ranks


def build_tokenizer(ranks: Mapping[bytes, int]) -> Tokenizer:
    """A fast tokenizer that encodes as tiktoken does with these ranks, after Unicode's NFC."""
    letters = bytes_to_unicode()

    def written(token: bytes) -> str:
        return "".join(letters[byte] for byte in token)

    vocabulary, merges = {}, []
    for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
        vocabulary[written(token)] = rank
        cuts = ((token[:i], token[i:]) for i in range(1, len(token)))
        merges += [(written(left), written(right)) for left, right in cuts if left in ranks and right in ranks]
    # A word that is a token is taken whole, also where no sequence of merges makes it; tiktoken does so too.
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=True))
    made.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(PATTERN), behavior="isolated")
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL_TOKENS])
    return made


class QWenTokenizer(TokenizersBackend):
    """Qwen-VL's tokenizer; the class is called as in the released ``tokenizer_config.json``.

    ``split_special_tokens=True`` encodes a text as text: nothing in it becomes a special token.

    Args:
        vocab_file: path of ``qwen.tiktoken``; None is an error that says so.
        **kwargs: as transformers.

    Raises:
        CheckpointError: see `read_ranks`.
    """

    vocab_files_names = {"vocab_file": RANKS_FILE}  # noqa: RUF012 - transformers declares it so
    model_input_names = ["input_ids", "attention_mask"]  # noqa: RUF012

    def __init__(self, vocab_file: str | None = None, **kwargs: Any) -> None:  # noqa: ANN401
        if vocab_file is None:
            where = kwargs.get("name_or_path") or "the checkpoint folder"
            raise CheckpointError(
                f"Expected {RANKS_FILE} in {where} but there is none; copy it from the original checkpoint folder"
            )
        self.vocab_file = vocab_file
        backend = build_tokenizer(read_ranks(Path(self.vocab_file)))
        defaults = {"eos_token": END_OF_TEXT, "pad_token": END_OF_TEXT, "padding_side": "left"}
        given = {**defaults, **kwargs}
        # A prompt starts with its first word; and decoding gives back what was encoded, to the last space.
        given |= {"bos_token": None, "clean_up_tokenization_spaces": False}
        super().__init__(tokenizer_object=backend, vocab_file=self.vocab_file, **given)

    @classmethod
    def convert_to_native_format(cls, trust_remote_code: bool = False, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401
        """Nothing to convert: ``__init__`` reads the ranks."""
        return kwargs

    def save_vocabulary(self, save_directory: str, filename_prefix: str | None = None) -> tuple[str]:
        """Copy the ranks file."""
        target = Path(save_directory) / f"{filename_prefix + '-' if filename_prefix else ''}{RANKS_FILE}"
        if not (target.exists() and target.samefile(self.vocab_file)):
            shutil.copyfile(self.vocab_file, target)
        return (str(target),)

    def _save_pretrained(
        self,
        save_directory: str | PathLike[str],
        file_names: tuple[str, ...],
        legacy_format: bool | None = None,
        filename_prefix: str | None = None,
    ) -> tuple[str, ...]:
        """Write the ranks, as the original folder has them, and no ``tokenizer.json``."""
        return (*file_names, *self.save_vocabulary(str(save_directory), filename_prefix))

    def _decode(  # type: ignore[override]
        self,
        token_ids: int | list[int],
        skip_special_tokens: bool = False,
        **kwargs: Any,  # noqa: ANN401
    ) -> str:
        """Without special tokens, boxes and what they are of stay: they are the answer, as in the original's chat."""
        ids = [token_ids] if isinstance(token_ids, int) else list(token_ids)
        if skip_special_tokens:
            kept = self._grounding_ids()
            ids = [token for token in ids if token < self.vocab_size or token in kept]
        return super()._decode(ids, skip_special_tokens=False, **kwargs)

    def _grounding_ids(self) -> list[int]:
        return [self.vocab_size + SPECIAL_TOKENS.index(token) for token in GROUNDING_TOKENS]
