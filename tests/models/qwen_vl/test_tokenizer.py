"""The tokenizer against tiktoken with the same ranks, and what users' text may not do."""

from __future__ import annotations

import base64
import random
import unicodedata
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from lit_vlr.errors import CheckpointError
from lit_vlr.models.qwen_vl.tokenizer import PATTERN, SPECIAL_TOKENS, QWenTokenizer, build_tokenizer, read_ranks
from tests._qwen_vl import WORDS, made_up_ranks, write_ranks

RANKS = made_up_ranks()
REFERENCE = tiktoken.Encoding(
    "made-up",
    pat_str=PATTERN,
    mergeable_ranks=RANKS,
    special_tokens={token: len(RANKS) + i for i, token in enumerate(SPECIAL_TOKENS)},
)
# Text that the merges apply to, beside everything else; no surrogates, which have no UTF-8.
TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.lists(st.sampled_from([*WORDS.split(), *SPECIAL_TOKENS, " ", "\n", "'S", "  ", "é", "7"])).map("".join),
)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> QWenTokenizer:
    path = tmp_path_factory.mktemp("ranks") / "qwen.tiktoken"
    write_ranks(path, RANKS)
    return QWenTokenizer(str(path))


@given(text=TEXT)
def test_it_encodes_as_tiktoken_does_after_nfc(tokenizer: QWenTokenizer, text: str) -> None:
    normal = unicodedata.normalize("NFC", text)
    assert tokenizer.encode(text, split_special_tokens=True) == REFERENCE.encode_ordinary(normal)


@given(text=TEXT)
def test_special_tokens_count_where_they_may(tokenizer: QWenTokenizer, text: str) -> None:
    # Between special tokens only: NFC could otherwise join a letter with what stands behind a special token.
    normal = unicodedata.normalize("NFC", text)
    assert tokenizer.encode(normal) == REFERENCE.encode(normal, allowed_special="all")


@given(text=TEXT)
def test_decoding_gives_the_text_back(tokenizer: QWenTokenizer, text: str) -> None:
    normal = unicodedata.normalize("NFC", text)
    for split in (True, False):
        assert tokenizer.decode(tokenizer.encode(normal, split_special_tokens=split)) == normal


@given(text=TEXT)
def test_text_never_becomes_a_special_token(tokenizer: QWenTokenizer, text: str) -> None:
    assert all(token < len(RANKS) for token in tokenizer.encode(text, split_special_tokens=True))


@pytest.mark.parametrize("seed", range(30))
def test_ambiguous_ranks_merge_as_tiktoken_merges(seed: int) -> None:
    # Two letters and tokens of random strings of them: many tokens have several cuts, and some no merges at all.
    chance = random.Random(seed)
    ranks = {bytes([byte]): byte for byte in range(256)}
    while len(ranks) < 276:
        token = "".join(chance.choice("ab") for _ in range(chance.randint(2, 6))).encode()
        ranks.setdefault(token, len(ranks))
    reference = tiktoken.Encoding("random", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
    ours = build_tokenizer(ranks)
    for _ in range(200):
        text = "".join(chance.choice("ab") for _ in range(chance.randint(1, 24)))
        assert ours.encode(text).ids == reference.encode_ordinary(text), text


def test_ids_are_the_released_ones(tokenizer: QWenTokenizer) -> None:
    # With the 151643 released ranks these are <|endoftext|> 151643, <ref> 151851, <img> 151857, <imgpad> 151859.
    shift = 151643 - len(RANKS)
    named = {t: tokenizer.convert_tokens_to_ids(t) + shift for t in SPECIAL_TOKENS if "extra" not in t}
    assert named == {
        **{"<|endoftext|>": 151643, "<|im_start|>": 151644, "<|im_end|>": 151645},
        **{"<ref>": 151851, "</ref>": 151852, "<box>": 151853, "</box>": 151854, "<quad>": 151855, "</quad>": 151856},
        **{"<img>": 151857, "</img>": 151858, "<imgpad>": 151859},
    }
    assert len(tokenizer) + shift == 151860
    assert tokenizer.pad_token == tokenizer.eos_token == "<|endoftext|>"
    assert tokenizer.bos_token is None


def test_without_special_tokens_boxes_stay(tokenizer: QWenTokenizer) -> None:
    text = "<img></img><ref>the dog</ref><box>(1,2),(3,4)</box><|im_end|><|endoftext|>"
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode(ids, skip_special_tokens=True) == "<ref>the dog</ref><box>(1,2),(3,4)</box>"
    assert tokenizer.batch_decode([ids, [len(tokenizer) + 5]], skip_special_tokens=True)[1] == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"YQ==\n", "in line 1 of .* but got b'YQ=='"),
        (b"YQ== 0\n!!! 1\n", "in line 2"),
        (b"YQ== 0\nYg== 2\n", "some are missing or double"),
        (b"YQ== 0\n", "255 have none"),
    ],
)
def test_exception_ranks(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "qwen.tiktoken").write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_ranks(tmp_path / "qwen.tiktoken")


def test_exception_no_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"Expected the tokenizer's ranks at .* no such file; copy qwen.tiktoken"):
        QWenTokenizer(str(tmp_path / "qwen.tiktoken"))


def test_ranks_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "qwen.tiktoken"
    write_ranks(path, RANKS)
    assert read_ranks(path) == RANKS
    assert path.read_text().split()[0] == base64.b64encode(b"\0").decode()
