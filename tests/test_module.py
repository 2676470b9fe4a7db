"""The LightningModule: what a checkpoint holds, exact resume, the adversarial main path."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from peft import PeftModel
from transformers import LlavaForConditionalGeneration

from lit_vlr.confidence import NegativeEntropy, PTrue, SelfConsistency, SequenceProbability
from lit_vlr.datamodule import ScenesDataModule
from lit_vlr.errors import CheckpointError, UserError
from lit_vlr.lightning_cli import VLRCLI
from lit_vlr.models import Llava, Lora
from lit_vlr.models.tiny import TINY_LLAVA
from lit_vlr.module import SelectiveVLM, check_adapter_state
from lit_vlr.objectives import SFT
from lit_vlr.predictor import load_module
from lit_vlr.thresholding import FitThreshold
from lit_vlr_callbacks import AdversarialTraining, SupportsAttack
from lit_vlr_callbacks.attacks import PGD
from lit_vlr_callbacks.perturbations import Linf
from tests._tiny import SHORT, arguments, batch, family

HALF = (0.5, 0.5, 0.5)


def module(dropout: float = 0.0, **kwargs) -> SelectiveVLM:
    torch.manual_seed(0)
    made = Llava("tiny-llava", lora=Lora(r=4, dropout=dropout), image_mean=HALF, image_std=HALF)
    return SelectiveVLM(made, SFT(), **kwargs)


def data() -> ScenesDataModule:
    return ScenesDataModule(train_size=20, calibration_size=8, test_size=4, ood_size=0, batch_size=4)


def trainer(folder: Path, *callbacks, steps: int = 8, **kwargs) -> Trainer:
    return Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        max_steps=steps,
        callbacks=list(callbacks),
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **kwargs,
    )


def trained(made: SelectiveVLM) -> dict[str, torch.Tensor]:
    return {n: p.detach().clone() for n, p in made.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("at", [3, 5, 6], ids=["mid-epoch", "epoch-end", "second-epoch"])
def test_a_resumed_run_ends_bit_for_bit_where_an_uninterrupted_one_does(tmp_path: Path, at: int) -> None:
    # Five batches an epoch; LoRA dropout draws from the global stream, the attack from its own.
    attack = PGD(Linf("4/255"), steps=1, keep_best=False)
    kept = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=at, save_top_k=-1)
    whole = module(dropout=0.1)
    trainer(tmp_path, AdversarialTraining(attack), kept, limit_val_batches=0).fit(whole, data())
    resumed = module(dropout=0.1)
    torch.manual_seed(99)
    again = trainer(tmp_path, AdversarialTraining(attack), enable_checkpointing=False, limit_val_batches=0)
    again.fit(resumed, data(), ckpt_path=str(tmp_path / f"step={at}.ckpt"))
    expected = trained(whole)
    assert again.global_step == 8
    for name, value in trained(resumed).items():
        assert torch.equal(value, expected[name]), name


def test_a_run_resumed_after_validation_ends_where_an_uninterrupted_one_does(tmp_path: Path) -> None:
    options = {"val_check_interval": 3, "check_val_every_n_epoch": None}
    kept = ModelCheckpoint(tmp_path, filename="{step}", save_top_k=-1)
    whole, resumed = module(), module()
    trainer(tmp_path, FitThreshold(), kept, **options).fit(whole, data())
    again = trainer(tmp_path, FitThreshold(), enable_checkpointing=False, **options)
    again.fit(resumed, data(), ckpt_path=str(tmp_path / "step=3.ckpt"))
    expected = trained(whole)
    assert all(torch.equal(value, expected[name]) for name, value in trained(resumed).items())
    assert torch.equal(whole.threshold, resumed.threshold)


def test_checkpoints_hold_adapters_projector_and_threshold_only(tmp_path: Path) -> None:
    made = module()
    trainer(tmp_path, ModelCheckpoint(tmp_path, filename="last"), steps=1, limit_val_batches=0).fit(made, data())
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    assert set(state) == set(trained(made)) | {"threshold"}
    assert all("lora_" in name or "projector" in name for name in set(state) - {"threshold"})


def test_attack_loss_is_per_sample_and_has_no_side_effects() -> None:
    made = module()
    made.configure_model()
    assert isinstance(made, SupportsAttack)
    rows = batch(made.family, 3)
    before = rows.images.clone()
    loss = made.attack_loss(torch.zeros_like(rows.images), rows)
    assert loss.shape == (3,)
    assert torch.equal(rows.images, before)
    alone = torch.cat([made.attack_loss(torch.zeros(1, 3, 48, 48), batch(made.family, 1, start=i)) for i in range(3)])
    torch.testing.assert_close(loss, alone, atol=1e-4, rtol=1e-4)


def test_the_threshold_decides_abstention() -> None:
    made = module().eval()
    made.configure_model()
    rows = batch(made.family, 6)
    assert not any(p.abstained for p in made.answer(rows))
    confidence = sorted(p.confidence for p in made.answer(rows))
    made.threshold.fill_(confidence[3])
    assert sum(p.abstained for p in made.answer(rows)) == 3
    made.threshold.fill_(float("inf"))
    assert all(p.abstained for p in made.answer(rows))


def test_a_cast_of_the_model_leaves_the_threshold_as_it_was_chosen() -> None:
    """`bf16-true` casts the module; in bfloat16 .9987 is 1, which abstains on .999."""
    made = module()
    made.threshold.fill_(0.9987)
    made.to(torch.bfloat16)
    assert (made.threshold.dtype, float(made.threshold)) == (torch.float64, 0.9987)
    assert made.state_dict()["threshold"] is not None


class Broken(SequenceProbability):
    """What a model whose scores overflow gives: NaN for the second row."""

    def forward(self, *args, **kwargs):
        return super().forward(*args, **kwargs).index_fill(0, torch.tensor([1]), float("nan"))


def test_a_confidence_of_nan_names_its_sample() -> None:
    """It was never below the threshold, so the answer was given."""
    made = module(confidence=Broken()).eval()
    made.configure_model()
    rows = batch(made.family, 3)
    with pytest.raises(UserError, match=rf"got nan for {rows.samples[1].uid}; .*precision 32-true"):
        made.answer(rows)


def test_the_default_confidence_is_the_sequence_probability_bit_for_bit() -> None:
    made = module().eval()
    made.configure_model()
    rows = batch(made.family, 6)
    generated = made.family.generate(rows, made.max_new_tokens)
    expected = generated.token_log_probs.sum(1).exp().tolist()  # 0 behind the end token
    assert [p.confidence for p in made.answer(rows)] == expected


def test_the_confidence_changes_scores_and_no_answer() -> None:
    plain, other = module().eval(), module(confidence=SelfConsistency()).eval()
    for made in (plain, other):
        made.configure_model()
    before, after = plain.answer(batch(plain.family, 6)), other.answer(batch(other.family, 6))
    assert [p.answer for p in before] == [p.answer for p in after]
    assert [p.confidence for p in before] != [p.confidence for p in after]
    assert all(p.confidence * 8 == round(p.confidence * 8) for p in after)  # of eight samples


def test_training_is_the_same_under_every_confidence(tmp_path: Path) -> None:
    # Validation in the middle of training must not take from the random stream of dropout.
    options = {"val_check_interval": 2, "check_val_every_n_epoch": None, "steps": 4, "enable_checkpointing": False}
    ends = []
    for confidence in (SequenceProbability(), SelfConsistency()):
        made = module(dropout=0.1, confidence=confidence)  # seeds; adapters are drawn when the fit begins
        trainer(tmp_path, **options).fit(made, data())
        ends.append(trained(made))
    assert all(torch.equal(value, ends[0][name]) for name, value in ends[1].items())


def test_a_threshold_of_another_confidence_is_dropped(tmp_path: Path) -> None:
    kept = ModelCheckpoint(tmp_path, filename="last")
    made = module(confidence=NegativeEntropy())
    options = {"val_check_interval": 1, "steps": 1}
    trainer(tmp_path, FitThreshold(max_risk=1.0), kept, **options).fit(made, data())
    assert made.threshold.isfinite()
    path = str(tmp_path / "last.ckpt")
    same, other = module(confidence=NegativeEntropy()), module(confidence=NegativeEntropy("first"))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="The checkpoint's threshold")
        trainer(tmp_path, enable_checkpointing=False).test(same, data(), ckpt_path=path)
    assert torch.equal(same.threshold, made.threshold)
    with pytest.warns(UserWarning, match=r"fitted with NegativeEntropy\(tokens='all'\) and says nothing about Neg"):
        trainer(tmp_path, enable_checkpointing=False).test(other, data(), ckpt_path=path)
    assert float(other.threshold) == float("-inf")


def test_a_checkpoint_from_before_there_were_confidences_keeps_its_threshold(tmp_path: Path) -> None:
    kept = ModelCheckpoint(tmp_path, filename="last")
    made = module()
    trainer(tmp_path, FitThreshold(max_risk=1.0), kept, val_check_interval=1, steps=1).fit(made, data())
    old = torch.load(tmp_path / "last.ckpt", weights_only=True)
    del old["confidence"]
    torch.save(old, tmp_path / "old.ckpt")
    again = module()
    trainer(tmp_path, enable_checkpointing=False).test(again, data(), ckpt_path=str(tmp_path / "old.ckpt"))
    assert torch.equal(again.threshold, made.threshold)
    assert again.threshold.isfinite()


def test_a_confidence_that_the_family_cannot_give_is_refused_at_once() -> None:
    with pytest.raises(UserError, match="Expected ' yes' to be one token"):
        module(confidence=PTrue("<image>{question} {answer} Right?", " yes", " no"))


def test_a_confidence_is_checked_before_weights_are_loaded_where_the_tokenizer_is_on_a_hub(monkeypatch) -> None:
    monkeypatch.setattr(Llava, "is_local", False)
    made = module(confidence=PTrue("<image>{question} {answer} Right?", " yes", " no"))
    with pytest.raises(UserError, match="Expected ' yes' to be one token"):
        made.configure_model()
    assert made.family.model is None


def test_a_checkpoint_of_another_rank_is_refused(tmp_path: Path) -> None:
    trainer(tmp_path, ModelCheckpoint(tmp_path, filename="last"), steps=1, limit_val_batches=0).fit(module(), data())
    other = SelectiveVLM(Llava("tiny-llava", lora=Lora(r=8), image_mean=HALF, image_std=HALF), SFT())
    with pytest.raises(CheckpointError, match="of another shape"):
        trainer(tmp_path, steps=2, enable_checkpointing=False).fit(other, data(), ckpt_path=str(tmp_path / "last.ckpt"))


def test_differences_between_checkpoint_and_model_are_named() -> None:
    state = {"a": torch.zeros(2), "b": torch.zeros(2)}
    check_adapter_state(state, {"a", "b"}, state)
    with pytest.raises(CheckpointError, match=r"1 missing \(such as b\); 1 unknown \(such as c\)"):
        check_adapter_state({"a": torch.zeros(2), "c": torch.zeros(2)}, {"a", "b"}, state)


@pytest.mark.slow
def test_the_command_line_writes_what_plain_peft_and_ask_can_load(tmp_path: Path) -> None:
    VLRCLI.run(arguments("fit", tmp_path, *SHORT))
    made = load_module(tmp_path / "checkpoints" / "last.ckpt")
    rows = batch(made.family, 4)
    base = LlavaForConditionalGeneration.from_pretrained(TINY_LLAVA, dtype=torch.float32)
    plain = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    ours = family(bits=16, lora=None).eval()
    ours.model = plain
    with torch.no_grad():
        expected, found = ours(rows).answer_logits, made.family(rows).answer_logits
    # The base is in 4 bit there and in float32 here: close, not equal.
    assert torch.corrcoef(torch.stack([expected.flatten(), found.flatten()]))[0, 1] > 0.98
    state = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    for name, value in plain.named_parameters():
        if "lora_" in name:
            torch.testing.assert_close(value, state[f"family.model.{name}"])
