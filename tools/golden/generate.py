#!/usr/bin/env python3
"""Make the golden files in `crates/espalier/tests/golden` with PyTorch itself.

    pip install torch numpy safetensors
    python tools/golden/generate.py            # write the files
    python tools/golden/generate.py --check    # make them anew and compare

Every tensor comes from PyTorch's own implementation; the seeds are fixed, one a
case. README.md beside this script tells what each file holds.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).resolve().parent))

from topics import TOPICS  # noqa: E402 (the folder is put on the path above)

OUTPUT = Path(__file__).resolve().parents[2] / "crates/espalier/tests/golden"
SIZE_LIMIT = 100 * 1024
# Another processor may sum in another order; this is the room that `--check` leaves it.
TOLERANCE = {
    torch.float32: {"rtol": 1e-4, "atol": 1e-5},
    torch.float64: {"rtol": 1e-10, "atol": 1e-12},
}


def generate(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, build in TOPICS.items():
        topic = build()
        # One key only: safetensors does not fix the order of several.
        notes = {"cases": json.dumps(topic.cases, sort_keys=True, separators=(",", ":"))}
        path = folder / f"{name}.safetensors"
        save_file(topic.tensors, path, metadata=notes)
        path.chmod(0o644)
        size = path.stat().st_size
        if size >= SIZE_LIMIT:
            sys.exit(f"{path.name} is {size} bytes; the limit is {SIZE_LIMIT}")


def load(path: Path) -> tuple[dict, dict]:
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}
        return tensors, json.loads(file.metadata()["cases"])


def differences(stored: Path, fresh: Path) -> list[str]:
    """What differs between two files beyond the tolerance; masks and integers must be equal."""
    old, old_cases = load(stored)
    new, new_cases = load(fresh)
    names = sorted(old_cases.keys() | new_cases.keys())
    changed = [name for name in names if old_cases.get(name) != new_cases.get(name)]
    found = [f"case {name}: other notes" for name in changed]
    found += [f"{key}: in one file only" for key in sorted(old.keys() ^ new.keys())]
    for key in sorted(old.keys() & new.keys()):
        a, b = old[key], new[key]
        if a.dtype != b.dtype or a.shape != b.shape:
            found.append(f"{key}: {a.dtype} {list(a.shape)} against {b.dtype} {list(b.shape)}")
        elif a.dtype not in TOLERANCE or "mask" in key:
            if not torch.equal(a, b):
                found.append(f"{key}: not equal")
        elif not torch.allclose(a, b, equal_nan=True, **TOLERANCE[a.dtype]):
            found.append(f"{key}: differs by up to {(a - b).abs().nan_to_num().max().item():g}")
    return found


def check(folder: Path) -> int:
    failures = 0
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        for name in TOPICS:
            stored, fresh = (Path(at) / f"{name}.safetensors" for at in (folder, scratch))
            if not stored.is_file():
                verdict, wrong = "missing; run without --check to write it", ["missing"]
            elif stored.read_bytes() == fresh.read_bytes():
                verdict, wrong = "same bytes", []
            else:
                wrong = differences(stored, fresh)
                verdict = "DIFFERS" if wrong else "other bytes, values within the tolerance"
            print(f"{name}: {verdict}")
            for line in wrong[:20] if stored.is_file() else []:
                print(f"  {line}")
            failures += bool(wrong)
    expected = {f"{name}.safetensors" for name in TOPICS}
    for path in sorted(folder.glob("*.safetensors")):
        if path.name not in expected:
            print(f"{path.name}: made by no topic")
            failures += 1
    return failures


def main() -> None:
    parser = argparse.ArgumentParser(description="Make or check the golden files.")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of the files")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    args = parser.parse_args()
    # One thread and fixed algorithms: the same sums in the same order each time.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    if args.check:
        sys.exit(1 if check(args.output) else 0)
    generate(args.output)
    for name in TOPICS:
        path = args.output / f"{name}.safetensors"
        print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
