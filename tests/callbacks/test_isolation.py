"""An attack leaves no trace in the module, in the random state or in the batch."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from lit_vlr_callbacks import SupportsAttack, attack_batch
from lit_vlr_callbacks.attacks import PGD
from lit_vlr_callbacks.batch import ordinary, read_images, rounded_back, write_images
from lit_vlr_callbacks.perturbations import Linf
from tests.callbacks._modules import Classifier, loader

ATTACK = PGD(Linf("8/255"))


def a_batch() -> dict[str, Tensor]:
    return next(iter(loader()))


def prepared() -> Classifier:
    """A module with mixed modes, a frozen layer and gradients under way."""
    module = Classifier().train()
    module.net[1].eval()
    module.net[0].weight.requires_grad_(False)
    module.net[5].weight.grad = torch.full_like(module.net[5].weight, 3.0)
    return module


class Noisy(Classifier):
    """Uses the global random state even in eval mode."""

    def attack_loss(self, images: Tensor, batch: Any) -> Tensor:
        return super().attack_loss(images + 1e-3 * torch.randn_like(images), batch)


class Failing(Classifier):
    def attack_loss(self, images: Tensor, batch: Any) -> Tensor:
        raise RuntimeError("out of memory")


@pytest.mark.parametrize("kind", [Classifier, Noisy, Failing])
def test_nothing_is_left_behind(kind: type[Classifier]) -> None:
    module = prepared()
    module.__class__ = kind
    before = {name: value.clone() for name, value in module.state_dict().items()}
    modes = [m.training for m in module.modules()]
    flags = [p.requires_grad for p in module.parameters()]
    batch, random = a_batch(), torch.get_rng_state()
    images = batch["images"].clone()

    if kind is Failing:
        with pytest.raises(RuntimeError, match="out of memory"):
            attack_batch(module, batch, ATTACK)
    else:
        result = attack_batch(module, batch, ATTACK)
        assert not torch.equal(result.images, images)
        assert not result.images.requires_grad

    assert [m.training for m in module.modules()] == modes
    assert [p.requires_grad for p in module.parameters()] == flags
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())  # BN buffers too
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.equal(batch["images"], images)
    gradients = [p.grad for p in module.parameters()]
    assert [g is None for g in gradients] == [p is not module.net[5].weight for p in module.parameters()]
    assert (module.net[5].weight.grad == 3.0).all()


class Spy(Classifier):
    """Notes in which state its loss is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.checkpointed = nn.Identity()
        self.checkpointed.gradient_checkpointing = True  # type: ignore[assignment]
        self.seen: list[dict[str, Any]] = []

    def attack_loss(self, images: Tensor, batch: Any) -> Tensor:
        self.seen.append(
            {
                "training": [m.training for m in self.net.modules()] + [self.training],
                "checkpointed": self.checkpointed.training,
                "trained": [p for p in self.parameters() if p.requires_grad],
                "inference": torch.is_inference_mode_enabled(),
                "dtype": images.dtype,
                "autocast": torch.is_autocast_enabled("cpu"),
            }
        )
        return super().attack_loss(images, batch)


@pytest.mark.parametrize("context", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_state_inside_and_in_every_grad_mode(context: type) -> None:
    module = Spy()
    expected = attack_batch(module, a_batch(), ATTACK).images
    with context():
        batch = {key: value.clone() for key, value in a_batch().items()}  # inference tensors in inference mode
        result = attack_batch(module, batch, ATTACK)
        assert torch.is_inference_mode_enabled() == (context is torch.inference_mode)
    assert torch.equal(result.images, expected)
    for seen in module.seen:
        assert not any(seen["training"])
        assert seen["checkpointed"]  # it would stop recomputing in eval mode, and use more memory than training
        assert not seen["trained"]
        assert not seen["inference"]
        assert seen["dtype"] == torch.float32


def test_modules_without_attack_loss() -> None:
    class Plain(LightningModule):
        pass

    assert isinstance(Classifier(), SupportsAttack)
    assert not isinstance(Plain(), SupportsAttack)
    with pytest.raises(TypeError, match=r"`attack_loss\(images, batch\)` but Plain has none; add one"):
        attack_batch(Plain(), a_batch(), ATTACK)


# --- batches


@dataclass(frozen=True)
class Record:
    images: Tensor
    labels: Tensor

    def __getitem__(self, key: str) -> Tensor:
        if key not in ("images", "labels"):
            raise KeyError(key)
        return getattr(self, key)


GOOD = torch.rand(2, 3, 4, 4)


@pytest.mark.parametrize(
    ("batch", "key", "error", "message"),
    [
        ({"image": GOOD, "label": 1}, "images", ValueError, r"has the keys \['image', 'label'\]; set `image_key`"),
        (Record(GOOD, GOOD), "image", ValueError, r"has the fields \['images', 'labels'\]"),
        ([GOOD], 3, ValueError, "has 1 entries, read by an int"),
        ([GOOD], "images", ValueError, "has 1 entries, read by an int"),
        (7, "images", ValueError, "is a int"),
        ({"images": [GOOD[0], GOOD[1]]}, "images", TypeError, r"one tensor \(B, C, H, W\) but got list; .*one canvas"),
        ({"images": (255 * GOOD).byte()}, "images", TypeError, r"torch.uint8; pass images.float\(\) / 255"),
        ({"images": GOOD.bfloat16()}, "images", TypeError, "float32 but got torch.bfloat16.*`bf16-mixed`"),
        ({"images": GOOD.half()}, "images", TypeError, "float32 but got torch.float16"),
        ({"images": GOOD[0]}, "images", ValueError, r"shape \(B, C, H, W\) but got \(3, 4, 4\)"),
        (
            {"images": GOOD * 4 - 2},
            "images",
            ValueError,
            r"in \[0, 1\] but got values from -.*pass unnormalised pixels",
        ),
        ({"images": GOOD * 255}, "images", ValueError, r"in \[0, 1\]"),
        ({"images": GOOD * float("nan")}, "images", ValueError, r"in \[0, 1\] but got values from nan"),
    ],
)
def test_bad_batches(batch: Any, key: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read_images(batch, key)


@settings(max_examples=60, deadline=None)
@given(
    dtype=st.sampled_from([torch.bfloat16, torch.float16]),
    eps=st.floats(0, 1),
    seed=st.integers(0, 2**16),
)
def test_rounding_to_sixteen_bits_never_leaves_the_ball(dtype: torch.dtype, eps: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    clean = torch.rand(2, 3, 8, 8, generator=generator).to(dtype).float()
    clean[0, 0] = clean[0, 0].round()
    attacked = Linf(eps).apply(clean, {"delta": eps * (2 * torch.rand(clean.shape, generator=generator) - 1)})
    found = rounded_back(attacked, clean, dtype)
    assert found.dtype == dtype
    assert ((found.double() - clean.double()).abs() <= (attacked.double() - clean.double()).abs()).all()
    assert 0 <= found.min() <= found.max() <= 1
    # No coarser than need be: what is lost is less than one step of the type.
    step = torch.finfo(dtype).eps * attacked.clamp_min(2.0**-10)
    assert ((found.float() - attacked).abs() <= step).all()
    assert torch.equal(rounded_back(clean, clean, dtype).float(), clean)


def test_batches_of_every_kind_are_read_and_written() -> None:
    new = torch.zeros_like(GOOD)
    for batch, key in (({"x": GOOD}, "x"), ([1, GOOD], 1), ([1, GOOD], -1)):
        assert read_images(batch, key) is GOOD
        write_images(batch, key, new)
        assert read_images(batch, key) is new
    assert read_images((GOOD, 1), 0) is GOOD
    for batch, key in (((GOOD, 1), 0), (Record(GOOD, GOOD), "images")):
        with pytest.raises(TypeError, match=r"changed in place but got .*; return a list or a dict"):
            write_images(batch, key, new)


def test_inference_tensors_become_ordinary_ones_wherever_they_are() -> None:
    pair = namedtuple("pair", "a b")
    plain = torch.ones(1)
    with torch.inference_mode():
        t = torch.ones(1)
    batch = {"list": [t, (t, 1)], "pair": pair(t, plain), "record": Record(t, plain), "text": "a"}
    copy = ordinary(batch)
    for tensor in (copy["list"][0], copy["list"][1][0], copy["pair"].a, copy["record"].images):
        assert not tensor.is_inference()
    assert isinstance(copy["pair"], pair)
    assert copy["pair"].b is plain
    assert copy["record"].labels is plain
    assert copy["text"] == "a"
    assert batch["record"].images is t  # the batch itself is untouched
