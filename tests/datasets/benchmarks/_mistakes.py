"""What can be wrong with the files of one benchmark in particular."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.datasets.benchmarks._layouts import Files, Layout
from tests.datasets.benchmarks._malformed import Change, Variant, drop, put, replaced, shared_variants


def variants(name: str, layout: Layout) -> dict[str, Variant]:
    """All mistakes of a reader: those that any file can have, and those of its own kind."""
    own = OWN.get(name, lambda layout: {})(layout)
    return {**own, **shared_variants(layout)}


def _annotations(file: str) -> Callable[[Layout], dict[str, Variant]]:
    """Of the second file of the VQA format."""

    def cases(layout: Layout) -> dict[str, Variant]:
        def said(field: str, value: Any, index: int = 0) -> Change:
            return lambda files: files[file]["annotations"][index].__setitem__(field, value)

        def first(files: Files) -> dict[str, Any]:
            answer: dict[str, Any] = files[file]["annotations"][0]["answers"][0]
            return answer

        def twice(files: Files) -> None:
            rows = files[file]["annotations"]
            rows[1]["question_id"] = rows[0]["question_id"]

        blank = lambda files: first(files).__setitem__("answer", " ")  # noqa: E731
        number = lambda files: first(files).__setitem__("answer", 3)  # noqa: E731
        listed = "Expected a list with entries"
        one = r"answers\[0\].answer`: Expected text but got"
        return {
            "no annotations file": Variant(lambda files: files.pop(file), "it cannot be read", "", None, file),
            "no annotations": Variant(
                lambda files: files[file].pop("annotations"), "Expected this key", None, -1, file
            ),
            "answers missing": Variant(
                lambda files: files[file]["annotations"][0].pop("answers"), "Expected this key", "answers", 0, file
            ),
            "answers empty": Variant(said("answers", []), listed, "answers", 0, file),
            "answers of words": Variant(said("answers", ["a"]), "Expected objects but entry 0", "answers", 0, file),
            "a blank answer": Variant(blank, f"{one} ' '", "answers[0].answer", 0, file),
            "an answer that is a number": Variant(number, f"{one} 3", "answers[0].answer", 0, file),
            "an annotation twice": Variant(twice, "is already entry 0; remove one", "question_id", 1, file),
            "an annotation of another question": Variant(
                said("question_id", 5),
                r"found 1 questions without annotation \(\w+\) and 1 annotations without",
                None,
                None,
                file,
            ),
            "an annotation of another picture": Variant(
                said("image_id", "b.jpg" if "VizWiz" in str(layout.files()) else 5),
                "Expected .* as in .*json but got",
                "image_id",
                0,
            ),
            "a picture that is none": Variant(put(layout, "image_id", []), "Expected", "image_id", 0),
        }

    return cases


def _okvqa(layout: Layout) -> dict[str, Variant]:
    file = "mscoco_val2014_annotations.json"
    row_of = lambda files: files[file]["annotations"][0]  # noqa: E731
    return _annotations(file)(layout) | {
        "an unknown kind": Variant(
            lambda files: row_of(files).__setitem__("question_type", "nine"),
            "Expected one of `question_types`",
            "question_type",
            0,
            file,
        ),
        "no kinds": Variant(lambda files: files[file].pop("question_types"), "Expected this key", None, None, file),
    }


def _refcoco(layout: Layout) -> dict[str, Variant]:
    def box(*corners: Any) -> Change:
        return put(layout, "bbox", list(corners))

    return {
        "a box with swapped corners": Variant(box(9, 1, 2, 5), "Expected corners with x1 < x2 and y1 < y2", "bbox", 0),
        "a box of width and height": Variant(box(500, 300, 100, 90), "convert .x, y, width, height", "bbox", 0),
        "a box to the right of the picture": Variant(box(1, 1, 700, 5), "Expected a box inside the picture", "bbox", 0),
        "a box above the picture": Variant(
            box(1, -9, 7, 5), "Expected a box inside the picture of 640 x 427", "bbox", 0
        ),
        "a box of three": Variant(box(1, 2, 3), "Expected 4 finite numbers", "bbox", 0),
        "a box of words": Variant(box("1", "2", "3", "4"), "Expected 4 finite numbers", "bbox", 0),
        "a box without end": Variant(box(1, 2, 10**400, 4), "Expected 4 finite numbers", "bbox", 0),
        "a picture without width": Variant(put(layout, "width", 0), "Expected a side in pixels but got 0", "width", 0),
        "no height": Variant(drop(layout, "height"), "Expected this key", "height", 0),
    }


def _captions(layout: Layout) -> dict[str, Variant]:
    def said(field: str, value: Any) -> Change:
        return lambda files: files[layout.main]["annotations"][0].__setitem__(field, value)

    def silent(files: Files) -> None:
        rows = files[layout.main]["annotations"]
        files[layout.main]["annotations"] = [one for one in rows if one["image_id"] != 9]

    return {
        "a caption of another picture": Variant(said("image_id", 8), "Expected one of the 2 `images`", "image_id", 0),
        "a blank caption": Variant(said("caption", "  "), "Expected text but got", "caption", 0),
        "a caption that is a list": Variant(said("caption", []), "Expected text but got", "caption", 0),
        "a picture without captions": Variant(silent, "there are none of picture 9", "id", 1),
        "no captions": Variant(lambda files: files[layout.main].pop("annotations"), "Expected this key", "annotations"),
    }


def _mme(layout: Layout) -> dict[str, Variant]:
    def line(index: int, *values: str) -> Change:
        return lambda files: files[layout.main].__setitem__(index, values)

    asks = "Is there a dog here? Please answer yes or no."
    pair = "Expected two questions on a picture but got"
    return {
        "a line of two": Variant(line(0, "1.jpg", asks), "Expected picture, question and answer", "", 0),
        "a line of four": Variant(line(1, "1.jpg", asks, "Yes", "No"), "Expected picture, question and answer", "", 1),
        "a maybe": Variant(line(0, "1.jpg", asks, "Maybe"), "Expected one of yes, no but got 'Maybe'", "answer", 0),
        "no label": Variant(line(0, "1.jpg", asks, ""), "Expected one of yes, no but got ''", "answer", 0),
        "a blank question": Variant(line(0, "1.jpg", " ", "Yes"), "Expected text but got ' '", "question", 0),
        "no picture": Variant(line(0, "", asks, "Yes"), "Expected text but got ''", "image", 0),
        "a picture outside": Variant(line(0, "../../a.jpg", asks, "Yes"), "Expected a picture inside", "image", 0),
        "a picture once": Variant(line(0, "3.jpg", asks, "Yes"), f"{pair} 1", "image", 0),
        "a picture three times": Variant(line(2, "1.jpg", asks, "Yes"), f"{pair} 3", "image", 0),
        "a blank line": Variant(line(1, ""), "Expected picture, question and answer between tabs but got ''", "", 1),
        "a URL": Variant(line(0, "http://x.org/a.jpg", asks, "Yes"), "the URL", "image", 0),
    }


def _table(layout: Layout, columns: dict[str, int]) -> dict[str, Variant]:
    def cell(column: int, value: str) -> Change:
        return lambda files: files[layout.main][1].__setitem__(column, value)

    def twice(files: Files) -> None:
        files[layout.main][2] = list(files[layout.main][1])

    blank = {
        f"blank {name}": Variant(cell(column, " "), "Expected text but got ' '", name, 0)
        for name, column in columns.items()
    }
    return {
        **blank,
        "a row twice": Variant(twice, "is already entry 0; remove one", layout.id, 1),
        "a value too many": Variant(lambda files: files[layout.main][1].append("x"), "but got more", "", 0),
        "a value too few": Variant(lambda files: files[layout.main][2].pop(), "but got fewer", "", 1),
        "a column twice": Variant(
            lambda files: files[layout.main][0].__setitem__(0, files[layout.main][0][1]), "has one twice|lacks"
        ),
        "a column missing": Variant(
            lambda files: files[layout.main][0].__setitem__(0, "x"), "lacks", layout.files()[layout.main][0][0]
        ),
        "no rows": Variant(
            lambda files: files.__setitem__(layout.main, files[layout.main][:1]),
            "Expected rows behind the header",
            "",
            None,
        ),
        "an open quotation mark": Variant(
            replaced(layout, lambda text: (text + '"').encode()), "Expected a table but it cannot be parsed"
        ),
    }


def _figstep(layout: Layout) -> dict[str, Variant]:
    columns = {"dataset": 0, "category_name": 3, "question": 4, "instruction": 5}
    return _table(layout, columns) | {
        "a picture outside": Variant(
            lambda files: files[layout.main][1].__setitem__(0, "../../../../a/b"),
            "Expected a picture inside",
            "image_pattern",
            0,
        ),
    }


def _own_table(layout: Layout) -> dict[str, Variant]:
    columns = {"nr": 0, "bild": 1, "frage": 2}
    wrong = Variant(
        lambda files: files[layout.main][1].__setitem__(3, "grün"),
        r"Expected one of \['A', 'B'\] or of the choices",
        "antworten",
        0,
    )
    return _table(layout, columns) | {"an answer that is no choice": wrong}


def _mm_safetybench(layout: Layout) -> dict[str, Variant]:
    def renamed(files: Files) -> None:
        files[layout.main]["one"] = files[layout.main].pop("0")

    return {
        "a key that is no number": Variant(renamed, "Expected numbers as keys but got 'one'", ""),
        "no original question": Variant(drop(layout, "Question"), "Expected this key", "Question"),
        "a blank original question": Variant(put(layout, "Question", ""), "Expected text", "Question"),
    }


def _scienceqa(layout: Layout) -> dict[str, Variant]:
    splits = "pid_splits.json"
    return {
        "no such split": Variant(lambda files: files[splits].pop("test"), "Expected this key", "test", None, splits),
        "a split that is empty": Variant(
            lambda files: files[splits].__setitem__("test", []), "Expected a list with entries", "test", None, splits
        ),
        "a problem that is not there": Variant(
            lambda files: files[splits]["test"].append("77"),
            "but 77 is none",
            "test",
            None,
            splits,
        ),
        "a problem twice": Variant(
            lambda files: files[splits]["test"].append("1"), "Expected each once but 1", "test", None, splits
        ),
        "a problem that is a number": Variant(
            lambda files: files[splits]["test"].append(1), "Expected text but got 1", "test[3]", None, splits
        ),
        "choices that are none": Variant(put(layout, "choices", "AB"), "Expected a list with entries", "choices", 0),
        "a blank choice": Variant(put(layout, "choices", ["", "b"]), "Expected text but got ''", "choices[0]", 0),
        "a hint that is a number": Variant(put(layout, "hint", 3), "Expected text but got 3", "hint", 0),
        "no pictures at all": Variant(
            lambda files: [one.update(image=None) for one in files[layout.main].values()],
            "Expected questions with pictures but there are none",
            "test",
            None,
            splits,
        ),
    }


def _seed(layout: Layout) -> dict[str, Variant]:
    return {
        "a fifth choice": Variant(put(layout, "answer", "E"), "Expected one of a, b, c, d but got 'E'", "answer", 0),
        "a blank choice": Variant(put(layout, "choice_c", " "), "Expected text but got ' '", "choice_c", 0),
        "no choice": Variant(drop(layout, "choice_d"), "Expected this key", "choice_d", 0),
        "sound": Variant(put(layout, "data_type", "sound"), "Expected one of image, video", "data_type", 0),
        "an unknown kind": Variant(put(layout, "question_type_id", 9), "Expected one of `question_type`", None, 0),
        "no kinds": Variant(
            lambda files: files[layout.main].pop("question_type"), "Expected this key", "question_type"
        ),
    }


def _pope(layout: Layout) -> dict[str, Variant]:
    return {"a maybe": Variant(put(layout, "label", "maybe"), "Expected one of yes, no but got 'maybe'", "label", 0)}


def _ocrvqa(layout: Layout) -> dict[str, Variant]:
    return {
        "an answer too few": Variant(put(layout, "answers", ["a"]), "Expected an answer to each of 2", "answers", 0),
        "a fourth split": Variant(put(layout, "split", 4), r"Expected 1 \(train\), 2 \(val\)", "split", 0),
        "a picture outside": Variant(
            lambda files: files[layout.main].update({"../a": files[layout.main].pop("761183272")}),
            "Expected a picture inside",
            "imageURL",
            1,
        ),
    }


def _ai2d_released(layout: Layout) -> dict[str, Variant]:
    ids, drawn = "ai2d_test_ids.csv", "annotations/2.png.json"

    def box(value: Any) -> Change:
        return lambda files: files[drawn]["text"]["T0"].__setitem__("rectangle", value)

    def named(field: str, value: Any) -> Change:
        return lambda files: files[layout.main].__setitem__(field, value)

    options = "Expected up to 26 options, the right one among them"
    return {
        "another picture": Variant(named("imageName", "3.png"), "Expected 2.png as in the name", "imageName", None),
        "a picture that is a number": Variant(named("imageName", 2), "Expected text but got 2", "imageName", None),
        "no options": Variant(put(layout, "answerTexts", []), "Expected a list with entries", "answerTexts", 0),
        "a blank option": Variant(put(layout, "answerTexts", [" ", *"bcd"]), "Expected text", "answerTexts[0]", 0),
        "a right option that is missing": Variant(put(layout, "answerTexts", ["a", "{}"]), options, None, 0),
        "a label that is a word": Variant(put(layout, "abcLabel", "no"), "Expected true or false", "abcLabel", 0),
        "no numbers of test pictures": Variant(
            lambda files: files.pop(ids), "Expected a text file but it cannot be read", "", None, ids
        ),
        "empty numbers": Variant(lambda files: files.__setitem__(ids, b""), "but the file is empty", "", None, ids),
        "a test picture that is a word": Variant(
            lambda files: files[ids].append(["x"]), "Expected the number of a picture but got 'x'", "", 3, ids
        ),
        "no test pictures": Variant(
            lambda files: files.__setitem__(ids, [["99"]]), "Expected questions of the split test", "", None, ids
        ),
        "no file of letters": Variant(lambda files: files.pop(drawn), "cannot be read", "", None, drawn),
        "no words on the diagram": Variant(
            lambda files: files[drawn].pop("text"), "Expected this key", "text", None, drawn
        ),
        "a word that is none": Variant(
            lambda files: files[drawn]["text"].__setitem__("T1", 3), "Expected objects but got 3", "text", 1, drawn
        ),
        "a box of four": Variant(box([1, 2, 3, 4]), "Expected two corners", "rectangle", 0, drawn),
        "a corner of words": Variant(box([["1", 2], [3, 4]]), "Expected 2 finite", "rectangle", 0, drawn),
        "no letter": Variant(
            lambda files: files[drawn]["text"]["T0"].pop("replacementText"),
            "Expected this",
            "replacementText",
            0,
            drawn,
        ),
    }


def _aokvqa(layout: Layout) -> dict[str, Variant]:
    return {
        "a difficulty that is a word": Variant(
            put(layout, "difficult_direct_answer", "no"), "Expected true or false", "difficult_direct_answer", 0
        ),
        "no choices": Variant(put(layout, "choices", []), "Expected a list with entries", "choices", 0),
        "a choice too far": Variant(
            put(layout, "correct_choice_idx", 4), "Expected the place of one of 4 choices", "correct_choice_idx", 0
        ),
        "a picture that is none": Variant(put(layout, "image_id", "1"), "Expected a whole number", "image_id", 0),
    }


def _vizwiz(layout: Layout) -> dict[str, Variant]:
    return {"no kind": Variant(drop(layout, "answer_type"), "Expected this key", "answer_type", 0)}


OWN: dict[str, Callable[[Layout], dict[str, Variant]]] = {
    "okvqa": _okvqa,
    "vqav2": _annotations("v2_mscoco_val2014_annotations.json"),
    "advqa": _annotations("v1_mscoco_val2017_advqa_annotations.json"),
    "vizwiz": _vizwiz,
    "vizwiz_vqa": _annotations("annotations.json"),
    "aokvqa": _aokvqa,
    "aokvqa_choice": _aokvqa,
    "scienceqa": _scienceqa,
    "ai2d_released": _ai2d_released,
    "ocrvqa": _ocrvqa,
    "refcoco": _refcoco,
    "flickr30k": _captions,
    "nocaps": _captions,
    "pope": _pope,
    "mme": _mme,
    "seed": _seed,
    "figstep": _figstep,
    "mm_safetybench": _mm_safetybench,
    "own_table": _own_table,
}
