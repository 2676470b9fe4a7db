"""Make the embedded base model: `python -m scripts.tiny_llava --out lit_vlr/assets/tiny_llava`.

Stages, as the real recipes have them: 1 the vision tower on its own; 2 the language model on text; 3 the projector
alone; 4 projector and language model, which learn to read the frozen tower's features; 5 everything, 3 to 5 on simple
questions and descriptions; 6 the language model on questions that need facts, about scenes told in words. Each prints a
held-out figure; 3 to 5 also a blind control.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from transformers import LlavaForConditionalGeneration

from scripts.tiny_llava.config import IMAGE_TOKEN, build_config
from scripts.tiny_llava.language import Reader, train
from scripts.tiny_llava.save import save
from scripts.tiny_llava.scenes import draw_many
from scripts.tiny_llava.tokenizer import build_tokenizer
from scripts.tiny_llava.vision import train_vision


def main() -> None:
    """Run the six stages; each leaves a checkpoint in ``--work`` and is skipped when its checkpoint is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("lit_vlr/assets/tiny_llava"))
    parser.add_argument("--work", type=Path, default=Path("runs/tiny_llava"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pictures", type=int, default=50_000)
    parser.add_argument("--steps", type=int, nargs=6, default=(2600, 700, 150, 1300, 250, 300), metavar=tuple("123456"))
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)

    tokenizer = build_tokenizer()
    image_token = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    config = build_config(image_token, tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
    model = LlavaForConditionalGeneration(config)
    tower, projector = model.model.vision_tower, model.model.multi_modal_projector

    def stage(number: int) -> Path | None:
        path = args.work / f"stage{number}.pt"
        if path.exists():
            model.load_state_dict(torch.load(path, weights_only=True))
            print(f"stage {number}: taken from {path}")
            return None
        return path

    if path := stage(1):
        train_vision(tower, args.seed, args.pictures, args.steps[0])
        torch.save(model.state_dict(), path)

    pictures, scenes = draw_many(20_000_000, args.pictures, args.seed)  # stage 1 has seen others
    held = Reader(tokenizer, *draw_many(30_000_000, 400, args.seed), [args.seed, 0])

    def reader(number: int) -> Reader:  # one a stage: a run that takes stages from checkpoints reads the same
        return Reader(tokenizer, pictures, scenes, [args.seed, number])

    language = [*model.model.language_model.parameters(), *model.lm_head.parameters()]
    language = list({id(p): p for p in language}.values())  # the head is the embedding

    if path := stage(2):
        groups: list[dict[str, object]] = [{"params": language, "lr": 3e-3}]
        read = reader(2)
        train("language", model, lambda: [read.text(64)], groups, args.steps[1], held.text(128))
        torch.save(model.state_dict(), path)
    if any(not (args.work / f"stage{n}.pt").exists() for n in (3, 4)):
        held.look(tower)
        seen = reader(3)
        seen.look(tower)
        pictured = held.pictured(400, 4)
    if path := stage(3):
        groups = [{"params": list(projector.parameters()), "lr": 3e-3}]
        train("projector", model, lambda: [seen.pictured(64, 4)], groups, args.steps[2], pictured)
        torch.save(model.state_dict(), path)
    if path := stage(4):
        seen.rng = reader(4).rng
        groups = [{"params": [*language, *projector.parameters()], "lr": 2e-3}]
        # Some text stays in, or the facts are forgotten.
        train("reading", model, lambda: [seen.pictured(64, 5), seen.text(8)], groups, args.steps[3], pictured)
        torch.save(model.state_dict(), path)
    held.features = None
    pictured = held.pictured(400, 4)
    if path := stage(5):
        read = reader(5)
        groups = [
            {"params": list(tower.parameters()), "lr": 2e-4},
            {"params": [*language, *projector.parameters()], "lr": 7e-4},
        ]
        train("everything", model, lambda: [read.pictured(48, 5), read.text(8)], groups, args.steps[4], pictured)
        torch.save(model.state_dict(), path)

    if path := stage(6):
        read = reader(6)
        read.look(tower)
        groups = [{"params": language, "lr": 1.5e-3}]
        # Pictures stay in, or reading them is forgotten.
        train("facts", model, lambda: [read.pictured(24, 5), read.told(40)], groups, args.steps[5], held.told(128))
        torch.save(model.state_dict(), path)

    save(model, tokenizer, args.out)
    print(f"saved in {args.out}")


if __name__ == "__main__":
    main()
