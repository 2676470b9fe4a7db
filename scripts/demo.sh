#!/usr/bin/env bash
# The main job, twice: a standard fine-tune and an adversarial one, each tested clean, out of domain and under attack.
set -euo pipefail
run=${1:-runs/demo}
base="--config configs/base.yaml --config configs/model/tiny_llava.yaml --config configs/data/scenes.yaml --config configs/objective/sft.yaml"
started=$SECONDS
for arm in standard adversarial; do
  attack=configs/attack/linf_pgd.yaml
  [ "$arm" = adversarial ] || attack=configs/attack/eval_linf_pgd.yaml
  args="$base --config $attack --config configs/experiment/demo.yaml --trainer.default_root_dir=$run/$arm"
  echo "== $arm fine-tune"
  lit-vlr fit $args
  echo "== $arm test"
  lit-vlr test $args --ckpt_path="$run/$arm/checkpoints/best.ckpt"
done
picture=$run/adversarial/gallery/test/scenes_test_0.png
question=$(python -c "import json, sys; print(json.load(open(sys.argv[1]))[0]['question'])" "$run/adversarial/gallery/index.json")
echo "== ask: $question ($picture)"
lit-vlr ask --checkpoint "$run/adversarial/checkpoints/best.ckpt" --image "$picture" --question "$question"
echo "== report"
lit-vlr report "$run/standard" "$run/adversarial" --out "$run/report.html"
echo "demo took $((SECONDS - started)) s; open $run/report.html"
