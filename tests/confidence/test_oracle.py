"""Every score on the embedded model, against scores that plain transformers keeps in full."""

from __future__ import annotations

import pytest
import torch
from transformers import LlavaForConditionalGeneration

from lit_vlr.confidence import AnswerSetProbability, AugmentationConsistency, PTrue
from lit_vlr.data.images import load_image
from lit_vlr.errors import UserError
from lit_vlr.functional import normalize_vqa_answer
from lit_vlr.models import Llava, Sampling
from lit_vlr.models.tiny import TINY_LLAVA
from lit_vlr.types import Sample
from lit_vlr_callbacks.perturbations import Brightness, Compose, Contrast, Rotate
from tests._tiny import family
from tests.confidence._scores import TOKENS, from_yaml, lay_out, scenes, scores
from tests.oracles import confidence as oracle

TOLERANCE = {"abs": 1e-5, "rel": 0}
N = 8


@pytest.fixture(scope="module")
def made() -> Llava:
    return family(bits=16, lora=None).eval()


@pytest.fixture(scope="module")
def reference() -> LlavaForConditionalGeneration:
    return LlavaForConditionalGeneration.from_pretrained(TINY_LLAVA, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def greedy_steps(made: Llava, reference: LlavaForConditionalGeneration):
    """Of each row: (probabilities over the vocabulary, chosen token) of every token of the answer."""
    rows = lay_out(made, scenes(N))
    output = reference.generate(
        input_ids=rows.prompt_ids,
        attention_mask=rows.prompt_mask,
        pixel_values=(rows.images - 0.5) / 0.5,
        do_sample=False,
        max_new_tokens=TOKENS,
        output_scores=True,
        return_dict_in_generate=True,
    )
    new = output.sequences[:, rows.prompt_ids.shape[1] :].tolist()
    end = made.tokenizer.eos_token_id
    steps = [oracle.answer_steps([s[i].tolist() for s in output.scores], new[i], end) for i in range(N)]
    assert {len(s) for s in steps} >= {2, 4}  # answers of different length: some rows end before others
    return steps


@pytest.mark.parametrize(
    "name",
    [
        "sequence_probability",
        "normalized_probability",
        "min_token_probability",
        "first_token_margin",
        "mean_entropy",
        "first_token_entropy",
    ],
)
def test_one_pass_scores_equal_those_from_full_scores(made: Llava, greedy_steps, name: str) -> None:
    found = scores(made, from_yaml(name), lay_out(made, scenes(N)))
    assert found == pytest.approx([getattr(oracle, name)(steps) for steps in greedy_steps], **TOLERANCE)


def next_token(made: Llava, reference, ids: list[int], image: torch.Tensor) -> list[float]:
    """Probabilities of the next token, one row without padding or cache."""
    with torch.no_grad():
        logits = reference(input_ids=torch.tensor([ids]), pixel_values=(image[None] - 0.5) / 0.5).logits
    return oracle.softmax(logits[0, -1].tolist())


def prompt_ids(made: Llava, text: str) -> list[int]:
    filled = text.replace("<image>", "<image>" * 64)
    return [made.tokenizer.bos_token_id, *made.tokenizer.encode(filled, add_special_tokens=False)]


def drawn(made: Llava, reference, sample: Sample, uniforms: list[float], temperature: float = 1.0):
    """One sampled answer, token by token: text, tokens, probability under the model itself."""
    ids = prompt_ids(made, made.prompt.replace("{question}", sample.question))
    image = load_image(sample.image, sample.uid)
    tokens, probability = [], 1.0
    for uniform in uniforms:
        p = next_token(made, reference, ids + tokens, image)
        cooled = [x ** (1 / temperature) for x in p]
        tokens.append(oracle.draw([x / sum(cooled) for x in cooled], uniform))
        probability *= p[tokens[-1]]
        if tokens[-1] == made.tokenizer.eos_token_id:
            break
    return made.tokenizer.decode(tokens, skip_special_tokens=True).strip(), tuple(tokens), probability


def all_drawn(made: Llava, reference, samples: list[Sample], sampling: Sampling):
    """K answers of each sample, as nested lists."""
    uniforms = sampling.draws([s.uid for s in samples], TOKENS).tolist()
    k = sampling.samples
    return [
        [drawn(made, reference, sample, uniforms[i * k + j], sampling.temperature) for j in range(k)]
        for i, sample in enumerate(samples)
    ]


def test_samples_equal_a_token_by_token_run(made: Llava, reference) -> None:
    samples, sampling = scenes(3), Sampling(samples=4, temperature=1.5, seed=3)
    found = made.sample(lay_out(made, samples), TOKENS, sampling)
    expected = [one for row in all_drawn(made, reference, samples, sampling) for one in row]
    assert found.texts == tuple(text for text, _, _ in expected)
    lengths = found.token_mask.sum(1).tolist()
    assert [tuple(t[:n]) for t, n in zip(found.tokens.tolist(), lengths, strict=True)] == [t for _, t, _ in expected]
    assert found.token_log_probs.sum(1).exp().tolist() == pytest.approx([p for _, _, p in expected], **TOLERANCE)
    assert len(set(found.texts)) > 3


def test_self_consistency_is_the_share_of_equal_samples(made: Llava, reference) -> None:
    confidence, samples = from_yaml("self_consistency"), scenes(4)
    rows = lay_out(made, samples)
    others = all_drawn(made, reference, samples, confidence.sampling)
    answers = made.generate(rows, TOKENS).texts
    expected = [
        oracle.share(answer, [text for text, _, _ in said], normalize_vqa_answer)
        for answer, said in zip(answers, others, strict=True)
    ]
    assert scores(made, confidence, rows) == pytest.approx(expected, **TOLERANCE)
    assert len(set(expected)) > 2


def test_answer_set_sums_the_sequences_of_one_answer(reference) -> None:
    # Behind a space the model spells some words in several ways, which a well-asked tiny model never does.
    spelling = family(bits=16, lora=None, prompt="<image>\n{question}\nAnswer: ").eval()
    samples, sampling = scenes(12)[9:], Sampling(samples=32, temperature=2.0)
    rows = lay_out(spelling, samples)
    greedy = spelling.generate(rows, TOKENS)
    alone = scores(spelling, from_yaml("sequence_probability"), rows)
    expected = []
    for i, said in enumerate(all_drawn(spelling, reference, samples, sampling)):
        tokens = tuple(greedy.tokens[i, : int(greedy.token_mask[i].sum())].tolist())
        found = oracle.answer_set_probability(greedy.texts[i], (tokens, alone[i]), said, normalize_vqa_answer)
        expected.append(found)
    together = scores(spelling, AnswerSetProbability(sampling), rows)
    assert together == pytest.approx(expected, **TOLERANCE)
    assert all(a <= b <= 1 for a, b in zip(alone, together, strict=True))
    assert together[1] > alone[1] + 1e-3


def test_p_true_is_the_share_of_the_right_option(made: Llava, reference) -> None:
    p_true, samples = from_yaml("p_true"), scenes(4)
    rows = lay_out(made, samples)
    a, b = (made.tokenizer.convert_tokens_to_ids(letter) for letter in "AB")
    expected = []
    for sample, answer in zip(samples, made.generate(rows, TOKENS).texts, strict=True):
        text = (
            f"<image>\nQuestion: {sample.question}\nProposed answer: {answer}\nIs the proposed answer:\n(A) True\n"
            "(B) False\nThe proposed answer is: ("
        )
        p = next_token(made, reference, prompt_ids(made, text), load_image(sample.image, sample.uid))
        expected.append(p[a] / (p[a] + p[b]))
    assert scores(made, p_true, rows) == pytest.approx(expected, **TOLERANCE)


def test_p_true_of_the_options_swapped_is_the_rest(made: Llava) -> None:
    rows = lay_out(made, scenes(4))
    there, back = scores(made, PTrue(), rows), scores(made, PTrue(right="B", wrong="A"), rows)
    assert [x + y for x, y in zip(there, back, strict=True)] == pytest.approx([1.0] * 4, **TOLERANCE)


def test_p_true_refuses_options_of_several_tokens_before_weights_are_loaded() -> None:
    unloaded = Llava("tiny-llava")
    PTrue().check(unloaded)
    with pytest.raises(UserError, match=r"Expected ' yes' to be one token after .* makes \['Ġ', 'y', 'es'\] of it"):
        PTrue("<image>{question} {answer} Right?", " yes", " no").check(unloaded)


def test_augmentation_consistency_is_the_share_of_equal_answers(made: Llava, reference) -> None:
    strong = Compose([Rotate(-25, 25), Contrast(0.4, 1.6), Brightness(-0.3, 0.3)])
    confidence = AugmentationConsistency(strong, copies=3)
    rows = lay_out(made, scenes(N))
    answers = made.generate(rows, TOKENS).texts
    said = []
    for copy in range(3):
        changed = confidence.changed(rows, copy).images
        assert changed.shape == rows.images.shape
        assert not torch.equal(changed, rows.images)
        ids = reference.generate(
            input_ids=rows.prompt_ids,
            attention_mask=rows.prompt_mask,
            pixel_values=(changed - 0.5) / 0.5,
            do_sample=False,
            max_new_tokens=TOKENS,
        )[:, rows.prompt_ids.shape[1] :]
        said.append([t.strip() for t in made.tokenizer.batch_decode(ids, skip_special_tokens=True)])
    expected = [oracle.share(answers[i], [texts[i] for texts in said], normalize_vqa_answer) for i in range(N)]
    assert scores(made, confidence, rows) == pytest.approx(expected, **TOLERANCE)
    assert len(set(expected)) > 2


def test_augmentation_without_range_always_agrees(made: Llava) -> None:
    rows = lay_out(made, scenes(3))
    assert scores(made, AugmentationConsistency(Rotate(0, 0)), rows) == [1.0, 1.0, 1.0]


def test_augmented_copies_differ_from_each_other_and_by_seed(made: Llava) -> None:
    rows = lay_out(made, scenes(2))
    first, other = AugmentationConsistency(Rotate()), AugmentationConsistency(Rotate(), seed=1)
    pictures = [first.changed(rows, 0), first.changed(rows, 1), other.changed(rows, 0)]
    assert all(not torch.equal(a.images, b.images) for a, b in zip(pictures, [*pictures[1:], pictures[0]], strict=True))
    as_list = rows.with_images(list(rows.images))
    assert torch.equal(torch.stack(first.changed(as_list, 0).images), pictures[0].images)
