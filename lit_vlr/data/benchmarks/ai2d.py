"""AI2D: questions on diagrams from school books."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from typing import ClassVar, Literal, Self

from lit_vlr.data.benchmarks._pairs import read_pairs
from lit_vlr.data.benchmarks._prompts import LETTER, SHORT
from lit_vlr.data.errors import DataFormatError
from lit_vlr.data.labelled import LabelledDiagram
from lit_vlr.data.parsing import read_document, read_text
from lit_vlr.data.pictures import Pictures, stem
from lit_vlr.data.records import Record, once, quote
from lit_vlr.data.source import Benchmark, Fetch, Splits
from lit_vlr.errors import UserError
from lit_vlr.tasks import ExactMatch, OptionChoice
from lit_vlr.types import Box, ImageRef, Sample, Task

_NO_OPTION = "{}"
"""What the released files have where an option is missing."""


@dataclass(frozen=True, kw_only=True)
class AI2D(Benchmark):
    """AI2D as released, a file of questions a picture; or as JSON lines.

    JSON lines have ``image``, ``question`` (with its options in it) and ``answer``, as Qwen-VL reads them.

    As released, options are asked for by letter. Where ``abcLabel`` is true the question is about letters that stand on
    the diagram instead of its words: they are drawn when the picture is loaded, from the file of the same name in
    ``annotations``. Options ``{}``, and repeated ones, are left out.

    Args:
        annotations: ``{split}.jsonl``; or the folder ``annotations`` of ``{image}.json``.
        questions: the folder ``questions`` of ``{image}.json``; None for JSON lines.
        test_ids: ``ai2d_test_ids.csv``, the numbers of the test pictures, which the folders do not say; a line each.
        images: folder that ``image``, or ``imageName``, is relative to.
        split: ``train`` or ``test``.
        choose: see `lit_vlr.tasks.OptionChoice`; of the released layout.
        prompt: see `Benchmark`.
        max_new_tokens: see `Benchmark`.

    Reference:
        Kembhavi et al., "A Diagram Is Worth a Dozen Images", ECCV 2016.
    """

    name = "ai2d"
    image_source = "ai2d"
    licence = "CC BY-SA 4.0"
    splits: ClassVar[Splits] = {"train": None, "test": None}
    fetches = (
        Fetch("pictures and questions", "https://ai2-public-datasets.s3.amazonaws.com/diagrams/ai2d-all.zip"),
        Fetch("numbers of the test pictures", "https://s3-us-east-2.amazonaws.com/prior-datasets/ai2d_test_ids.csv"),
        Fetch("the same as JSON lines", "https://github.com/QwenLM/Qwen-VL/blob/master/eval_mm/EVALUATION.md"),
    )

    annotations: Path
    questions: Path | None = None
    test_ids: Path | None = None
    images: Path
    split: str = "test"
    choose: Literal["words", "likelihood"] = "words"

    @classmethod
    def at(cls, root: Path, split: str = "test") -> Self:
        """``root`` holds the released folders and ``ai2d_test_ids.csv``; or else ``{split}.jsonl`` and pictures."""
        if not (root / "questions").is_dir():
            return cls(annotations=root / f"{split}.jsonl", images=root, split=split)
        return cls(
            annotations=root / "annotations",
            questions=root / "questions",
            test_ids=root / "ai2d_test_ids.csv",
            images=root / "images",
            split=split,
        )

    @property
    def own_task(self) -> Task:
        """A letter; of JSON lines exact match, spaces at the ends and case aside."""
        if self.questions is None:
            return Task(ExactMatch("lower"), SHORT, 10)
        return Task(OptionChoice(self.choose), LETTER, 10)

    def read(self) -> list[Sample]:
        """Samples in their order; as released, by the number of the picture.

        Raises:
            UserError: if there are no files of questions, or nothing says which pictures are of the split.
        """
        if self.questions is None:
            return read_pairs(self.annotations, self.images, self.prefix, self.task, self.image_source)
        return self._released(self.questions, Pictures(self.images))

    def _released(self, questions: Path, pictures: Pictures) -> list[Sample]:
        if self.test_ids is None or self.split not in self.splits:
            raise UserError(
                f"Expected `test_ids` and a `split` of {', '.join(self.splits)} but got {self.test_ids} and "
                f"{self.split!r}; the folder of questions holds both splits"
            )
        files = {file.name.removesuffix(".json"): file for file in questions.glob("*.json")}
        if not files:
            raise UserError(f"Expected files of questions (0.png.json, …) in {questions} but there are none")
        tested = _numbers(self.test_ids)
        wanted = [name for name in files if (stem(name) in tested) == (self.split == "test")]
        rows = [row for name in sorted(wanted, key=lambda name: (len(name), name)) for row in _asked(files[name], name)]
        if not rows:
            message = f"Expected questions of the split {self.split} in {questions} but there are none"
            raise DataFormatError(self.test_ids, None, "", "", message)
        keyed = once(((row.identifier("questionId"), row) for row in rows), "questionId")
        return [self._sample(row.named(f"{self.prefix}/{key}"), pictures) for key, row in keyed]

    def _sample(self, record: Record, pictures: Pictures) -> Sample:
        given = record.texts("answerTexts")
        right = given[record.place("correctAnswer", len(given))]
        choices = tuple(dict.fromkeys(text for text in given if text != _NO_OPTION))
        if right not in choices or len(choices) > len(ascii_uppercase):
            record.fail("answerTexts", f"Expected up to 26 options, the right one among them, but got {quote(given)}")
        lettered = record.get("abcLabel")
        if not isinstance(lettered, bool):
            record.fail("abcLabel", f"Expected true or false but got {quote(lettered)}")
        name = record.text(_IMAGE)
        diagram = pictures.path(record, "imageName", name)
        image: ImageRef = diagram
        if lettered:
            image = LabelledDiagram(diagram, _labels(self.annotations / f"{name}.json", record.uid))
        return Sample(
            record.uid,
            image,
            stem(name),
            record.text(_QUESTION),
            (ascii_uppercase[choices.index(right)],),
            {"abc_label": lettered},
            choices=choices,
            task=self.task,
            image_source=self.image_source,
        )


_QUESTION, _IMAGE = "(key)", "imageName"
"""Where a row keeps what stands around it in the file."""


def _numbers(file: Path) -> set[str]:
    """The numbers of pictures, a line each."""
    lines = read_text(file, "text").split()
    for index, line in enumerate(lines):
        if not (line.isascii() and line.isdigit()):
            raise DataFormatError(file, index, "", "", f"Expected the number of a picture but got {quote(line)}")
    if not lines:
        raise DataFormatError(file, None, "", "", "Expected numbers of pictures, a line each, but the file is empty")
    return set(lines)


def _asked(file: Path, name: str) -> list[Record]:
    """The questions of a file, each with its text and the name of its picture; there may be none."""
    document = read_document(file)
    if document.text(_IMAGE) != name:
        document.fail(_IMAGE, f"Expected {name} as in the name of the file but got {quote(document.row[_IMAGE])}")
    rows = []
    for index, (question, row) in enumerate(document.mapping("questions").items()):
        if not isinstance(row, dict):
            document.fail("questions", f"Expected objects but entry {index} is {quote(row)}")
        rows.append(Record(file, {**row, _QUESTION: question, _IMAGE: name}, index))
    return rows


def _labels(file: Path, uid: str) -> tuple[tuple[Box, str], ...]:
    """What is covered by which letter; boxes without height or width are not, and the released files have some."""
    labels = []
    for index, (_, row) in enumerate(read_document(file).named(uid).mapping("text").items()):
        if not isinstance(row, dict):
            raise DataFormatError(file, index, uid, "text", f"Expected objects but got {quote(row)}")
        record = Record(file, row, index, uid)
        corners = record.get("rectangle")
        if not isinstance(corners, list) or len(corners) != 2:
            record.fail("rectangle", f"Expected two corners but got {quote(corners)}")
        left, top = Record(file, {"rectangle": corners[0]}, index, uid).numbers("rectangle", 2)
        right, bottom = Record(file, {"rectangle": corners[1]}, index, uid).numbers("rectangle", 2)
        if left < right and top < bottom:
            labels.append(((left, top, right, bottom), record.text("replacementText")))
    return tuple(labels)
