#!/usr/bin/env bash
# Build the wheel, unpack it into an empty folder, and run tests against that copy instead of the checkout.
set -euo pipefail
root=$(pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python -m build --wheel --outdir "$work/dist" . >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
wheel=$(ls "$work"/dist/*.whl)
python -m zipfile -e "$wheel" "$work/site"
size=$(stat -c %s "$work/site/lit_vlr/assets/tiny_llava/model.safetensors")
echo "wheel: $(basename "$wheel"), $(stat -c %s "$wheel") bytes, base model $size bytes"
test "$size" -le 8000000
cp -r "$root/tests" "$root/pyproject.toml" "$root/configs" "$work/"
cd "$work"
# The unpacked wheel comes first on the path; -P keeps the working folder off it.
export PYTHONPATH="$work/site:$work"  # the second for `tests` itself; the checkout is on neither
python -P -c "import lit_vlr, lit_vlr_callbacks, sys; sys.exit(not all(m.__file__.startswith('$work') for m in (lit_vlr, lit_vlr_callbacks)))"
python -P -m pytest -q -o pythonpath= -o testpaths=tests -m "not slow" tests/test_wheel.py tests/functional tests/report
python -P -m lit_vlr.cli --help >/dev/null
echo "wheel: ok"
