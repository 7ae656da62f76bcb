"""npy and npz files, written by numpy."""

import io
import zipfile

import numpy as np

import common

TYPES = ["bool", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "c8", "c16"]


def arrays():
    found = {f"{t}.c": common.numbers(t, (2, 3)) for t in TYPES}
    found["nested/name"] = common.numbers("f4", (2, 1, 2))
    found["ünïcode"] = common.numbers("i2", (3,))
    found["fortran"] = np.asfortranarray(common.numbers("f8", (2, 3, 4)))
    found["fortran_vector"] = np.asfortranarray(common.numbers("i4", (3,)))
    found["big"] = common.numbers("i4", (2, 3)).astype(">i4")
    found["big_complex"] = common.numbers("c16", (2,)).astype(">c16")
    found["big_fortran"] = np.asfortranarray(common.numbers("f4", (3, 2)).astype(">f4"))
    found["scalar"] = np.array(-0.0, dtype="f4")
    found["empty"] = np.zeros((3, 0, 2), dtype="f8")
    found["zeros"] = np.zeros((8, 16), dtype="f4")
    return found


def make(out):
    found = arrays()
    for name, save in [("stored.npz", np.savez), ("deflated.npz", np.savez_compressed)]:
        # Not to a path: the time of the day would go into the file.
        save(out / name, **found)
        undated(out / name)
        common.expect(out / name, found)
    for name in ["big_fortran", "c16.c", "scalar", "empty"]:
        np.save(out / f"{name}.npy", found[name])
        common.expect(out / f"{name}.npy", {name: found[name]})
    # Version 2 of the format, which numpy takes for long headers.
    with open(out / "version2.npy", "wb") as file:
        np.lib.format.write_array(file, found["u2.c"], version=(2, 0))
    common.expect(out / "version2.npy", {"version2": found["u2.c"]})
    # Sizes after the data, as they are written to a pipe.
    pipe = io.BytesIO()
    pipe.seekable = lambda: False
    np.savez_compressed(pipe, a=found["f4.c"], b=found["scalar"])
    (out / "streamed.npz").write_bytes(pipe.getvalue())
    common.expect(out / "streamed.npz", {"a": found["f4.c"], "b": found["scalar"]})
    (out / "none.npz").write_bytes(b"")
    np.savez(out / "none.npz")
    common.expect(out / "none.npz", {})


def undated(path):
    """numpy writes no times, so the file should be the same each time."""
    with zipfile.ZipFile(path) as archive:
        assert all(i.date_time == (1980, 1, 1, 0, 0, 0) for i in archive.infolist()), path


def check_written(written):
    for name in ["all.npz", "all_compressed.npz"]:
        with np.load(written / name, allow_pickle=False) as archive:
            common.check(written / name, {n: archive[n] for n in archive.files})
        assert zipfile.ZipFile(written / name).testzip() is None
    for path in sorted(written.glob("*.npy")):
        common.check(path, {path.stem: np.load(path, allow_pickle=False)})


if __name__ == "__main__":
    common.main("npz", make, check_written)
