#!/bin/sh
# install.sh PREFIX: installs Stageport into an empty folder, as the image holds it. The Dockerfile runs it, and so does
# the test that starts what came of it. Needs uv; PYTHON names the interpreter (python3).
#
# Locked dependencies with their hashes, then the wheel of this checkout; both compiled, for nothing can be written later.
set -eu
prefix=$1
python=${PYTHON:-python3}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

uv venv --quiet --no-project --python "$python" "$scratch/build"
uv pip install --quiet --python "$scratch/build/bin/python" --require-hashes --requirements requirements/build.txt
uv build --quiet --wheel --no-build-isolation --python "$scratch/build/bin/python" --out-dir "$scratch/wheel" .

uv venv --quiet --no-project --relocatable --python "$python" "$prefix"
for lock in requirements/runtime.txt requirements/kafka.txt; do
    test ! -f "$lock" || uv pip install --quiet --python "$prefix/bin/python" --require-hashes --compile-bytecode \
        --link-mode copy --requirements "$lock"
done
uv pip install --quiet --python "$prefix/bin/python" --no-deps --offline --compile-bytecode --link-mode copy \
    "$scratch"/wheel/*.whl
rm -f "$prefix/.lock"
