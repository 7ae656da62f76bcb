"""Golden HDF5 and Keras files: what h5py and Keras write, and what should be read from it.

    pip install keras h5py jax numpy ml_dtypes
    python tools/golden/files/hdf5.py                         # write the files and expected.json
    python tools/golden/files/hdf5.py --check-written DIR     # h5py and Keras read what we wrote
"""

import argparse
import json
import os
import pathlib
import sys
import zipfile

os.environ.setdefault("KERAS_BACKEND", "jax")

import h5py
import ml_dtypes
import numpy as np
from h5py import h5d, h5p, h5s, h5t

DATA = pathlib.Path(__file__).parents[3] / "crates/checkpoint/tests/data/hdf5"

DTYPES = {
    "float16": "F16", "float32": "F32", "float64": "F64", "bfloat16": "BF16",
    "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64",
    "uint8": "U8", "uint16": "U16", "uint32": "U32", "uint64": "U64",
    "bool": "BOOL", "complex64": "C64", "complex128": "C128",
}

expected = {}


def little(array):
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()


def entry(name, array, dtype=None):
    """What is to be read. Long arrays are ramps, which the test makes itself."""
    array = np.asarray(array)
    dtype = dtype or DTYPES[array.dtype.newbyteorder("=").name]
    one = {"name": name, "dtype": dtype, "shape": list(array.shape)}
    if array.size > 64:
        one["ramp"] = True
    else:
        one["hex"] = little(array).hex()
    return one


def ramp(shape, dtype="<u2"):
    count = int(np.prod(shape))
    return (np.arange(count) * 7 % 1009).astype(dtype).reshape(shape)


def write(name, make, libver=None, **options):
    entries = {"tensors": [], "ties": [], "skipped": {}, "metadata": {}}
    with h5py.File(DATA / name, "w", libver=libver, **options) as file:
        make(file, entries)
    expected[name] = entries


def types(file, entries):
    def add(name, array, dtype=None, **options):
        file.create_dataset(name, data=array, **options)
        entries["tensors"].append(entry(name, array, dtype))

    for kind in "f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8".split():
        for order in "<>":
            values = np.array([[0, 1, 2], [100, 3, 127]]).astype(order + kind)
            add(f"{'big' if order == '>' else 'little'}/{kind}", values)
    for order in "<>":
        for kind in ("c8", "c16"):
            where = "big" if order == ">" else "little"
            add(f"{where}/{kind}", np.array([1 + 2j, -0.0 - 3j]).astype(order + kind))
    bits = np.array([0x7FA01234, 0xFFC00001, 0x80000000, 0x7F800000], dtype="<u4")
    add("nan", bits.view("<f4"))
    add("bool", np.array([True, False, True]))
    add("scalar/f4", np.float32(1.5))
    add("scalar/bool", np.bool_(True))
    add("empty/f4", np.zeros((0,), "<f4"))
    add("empty/matrix", np.zeros((3, 0, 2), "<i8"))
    add("a/b/c/d/deep", np.arange(3, dtype="<i4"))
    add("digits/0", np.int8(0))
    for number in (10, 2, 9, 1):
        add(f"digits/{number}", np.int8(number))
    add("ümlaut", np.float32(2))

    # Integers with names.
    colours = h5py.enum_dtype({"red": 1, "blue": 300}, basetype="<i2")
    file.create_dataset("enum", data=np.array([1, 300], "<i2"), dtype=colours)
    entries["tensors"].append(entry("enum", np.array([1, 300], "<i2")))
    # Small arrays as elements.
    pairs = np.arange(12, dtype=">i2").reshape(2, 3, 2)
    kind = h5t.array_create(h5t.STD_I16BE, (3, 2))
    place = h5d.create(file.id, b"arrays", kind, h5s.create_simple((2,)))
    place.write(h5s.ALL, h5s.ALL, np.ascontiguousarray(pairs), mtype=kind)
    entries["tensors"].append(entry("arrays", pairs))
    # Bfloat16 and 8-bit floats as types of their own, and as Keras marks them.
    for name, fields, precision, size, bias, letters in (
        ("own/bf16", (15, 7, 8, 0, 7), 16, 2, 127, "BF16"),
        ("own/e4m3", (7, 3, 4, 0, 3), 8, 1, 7, "F8_E4M3"),
        ("own/e5m2", (7, 2, 5, 0, 2), 8, 1, 15, "F8_E5M2"),
    ):
        kind = h5t.IEEE_F16LE.copy()
        kind.set_fields(*fields)
        kind.set_precision(precision)
        kind.set_size(size)
        kind.set_ebias(bias)
        values = np.array([1, 2, 3], f"<u{size}")
        file.require_group("own")
        place = h5d.create(file.id, name.encode(), kind, h5s.create_simple((3,)))
        place.write(h5s.ALL, h5s.ALL, values, mtype=kind)
        entries["tensors"].append(entry(name, values, letters))
    brain = np.array([1.0, -2.5], ml_dtypes.bfloat16)
    file.create_dataset("marked", data=brain).attrs["dtype"] = "bfloat16"
    entries["tensors"].append({"name": "marked", "dtype": "BF16", "shape": [2], "hex": brain.tobytes().hex()})
    # In the header.
    plist = h5p.create(h5p.DATASET_CREATE)
    plist.set_layout(h5d.COMPACT)
    values = np.arange(5, dtype="<f8")
    place = h5d.create(file.id, b"compact", h5t.IEEE_F64LE, h5s.create_simple((5,)), plist)
    place.write(h5s.ALL, h5s.ALL, values)
    entries["tensors"].append(entry("compact", values))
    # Never written: zeros, or the value for it.
    file.create_dataset("unwritten/zeros", (3,), "<f4")
    entries["tensors"].append(entry("unwritten/zeros", np.zeros(3, "<f4")))
    file.create_dataset("unwritten/sevens", (3,), ">f4", fillvalue=7)
    entries["tensors"].append(entry("unwritten/sevens", np.full(3, 7, ">f4")))
    # A type that is an object itself.
    file["named_type"] = np.dtype("<f4")
    file.create_dataset("of_named_type", data=np.ones(2, "<f4"), dtype=file["named_type"])
    entries["tensors"].append(entry("of_named_type", np.ones(2, "<f4")))
    # Links.
    file["tied/hard"] = file["compact"]
    file["tied/soft"] = h5py.SoftLink("/compact")
    file["tied/relative"] = h5py.SoftLink("./hard")
    for name in ("tied/hard", "tied/soft", "tied/relative"):
        entries["tensors"].append(entry(name, values))
    entries["ties"] = [["tied/hard", "compact"], ["tied/relative", "compact"], ["tied/soft", "compact"]]
    # What are no numbers.
    file["text"] = "hello"
    file.create_dataset("fixed", data=np.array([b"ab", b"c"]))
    file.create_dataset("opaque", data=np.void(b"abc"))
    file.create_dataset("reference", data=file["compact"].ref, dtype=h5py.ref_dtype)
    file.create_dataset("records", data=np.zeros(2, [("x", "<f4"), ("y", "<i4")]))
    file.create_dataset("lists", (2,), h5py.vlen_dtype("<i4"))
    file.create_dataset("nothing", data=h5py.Empty("<f4"))
    entries["skipped"] = {
        "text": "texts", "fixed": "texts", "opaque": "opaque bytes", "reference": "references",
        "records": "records", "lists": "lists", "nothing": "nothing, not even a scalar",
    }
    # Texts beside them.
    file.attrs["title"] = "some"
    file.attrs["bytes"] = np.bytes_(b"some bytes")
    file.attrs["empty"] = ""
    file.attrs["number"] = 3
    file["digits"].attrs["name"] = "dense"
    entries["metadata"] = {"title": "some", "bytes": "some bytes", "empty": "", "digits@name": "dense"}


def chunks(file, entries):
    def add(name, array, **options):
        file.create_dataset(name, data=array, **options)
        entries["tensors"].append(entry(name, array))

    all_filters = {"compression": "gzip", "shuffle": True, "fletcher32": True}
    add("one", ramp((100,)), chunks=(100,))
    add("one_filtered", ramp((100,)), chunks=(100,), **all_filters)
    add("plain", ramp((23, 31)), chunks=(5, 7))
    add("gzip", ramp((23, 31), "<f4"), chunks=(5, 7), compression="gzip")
    add("all_filters", ramp((11, 13, 17), "<i8"), chunks=(4, 13, 5), **all_filters)
    add("checksum", ramp((50,), "|u1"), chunks=(7,), fletcher32=True)
    add("shuffle", ramp((50,), "<f8"), chunks=(50,), shuffle=True)
    add("big_endian", ramp((20, 20), ">f4"), chunks=(6, 20), **all_filters)
    add("grows", ramp((300, 2)), chunks=(3, 2), maxshape=(None, 2))
    add("grows_filtered", ramp((90, 2)), chunks=(3, 2), maxshape=(None, 4), **all_filters)
    add("grows_inside", ramp((3, 80)), chunks=(2, 1), maxshape=(5, None))
    add("grows_both", ramp((30, 31), "<u2"), chunks=(1, 1), maxshape=(None, None))
    add("grows_both_filtered", ramp((20, 20), "<u2"), chunks=(3, 4), maxshape=(None, None), **all_filters)
    add("may_grow", ramp((10, 10)), chunks=(3, 3), maxshape=(20, 25))
    add("paged", ramp((1300,), "<u2"), chunks=(1,))
    add("flat", ramp((4, 5, 6)), chunks=(1, 5, 6), compression="gzip", compression_opts=9)
    add("empty", np.zeros((0, 4), "<f4"), chunks=(2, 2), maxshape=(None, 4))
    # Some chunks were never written.
    part = file.create_dataset("part", (10, 10), ">i2", chunks=(4, 4), fillvalue=-2)
    part[5:6, 2:9] = 9
    whole = np.full((10, 10), -2, ">i2")
    whole[5:6, 2:9] = 9
    entries["tensors"].append({"name": "part", "dtype": "I16", "shape": [10, 10], "hex": little(whole).hex()})
    # All of it has a place from the start.
    plist = h5p.create(h5p.DATASET_CREATE)
    plist.set_chunk((4, 4))
    plist.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    values = ramp((10, 11))
    place = h5d.create(file.id, b"early", h5t.STD_U16LE, h5s.create_simple((10, 11)), plist)
    place.write(h5s.ALL, h5s.ALL, np.ascontiguousarray(values))
    entries["tensors"].append(entry("early", values))


def far(file, entries):
    """Few of very many chunks: an index with pages, of which some are there."""
    # Data blocks of two pages, 1024 entries each, begin at 131 060.
    places = [0, 131_059, 131_060 + 5 * 2048 + 1024, 131_060 + 6 * 2048 + 1023, 131_060 + 9 * 2048, 199_999]
    one = file.create_dataset("few", (200_000,), "|u1", chunks=(1,), maxshape=(None,))
    for number, place in enumerate(places):
        one[place] = number + 1
    at = {str(place): number + 1 for number, place in enumerate(places)}
    entries["tensors"].append({"name": "few", "dtype": "U8", "shape": [200_000], "at": at})


def many(file, entries):
    group = file.create_group("group")
    for number in range(150):
        group[f"weight_{number:03}"] = np.int16(number)
        entries["tensors"].append(entry(f"group/weight_{number:03}", np.int16(number)))
    ordered = file.create_group("ordered", track_order=True)
    for number in range(20, 0, -1):
        ordered[f"n{number}"] = np.int16(number)
        entries["tensors"].append(entry(f"ordered/n{number}", np.int16(number)))
    entries["ordered"] = [f"ordered/n{number}" for number in range(20, 0, -1)]
    for number in range(12):
        file.attrs[f"text{number}"] = f"value {number}"
        entries["metadata"][f"text{number}"] = f"value {number}"
    # Too long for a block of a heap.
    long = np.bytes_(b"long " * 1000 + b".")
    file.attrs["long"] = long
    entries["metadata"]["long"] = long.decode()


def keras2_weights(group, entries, prefix, bytes_names):
    """As Keras 2 saved weights: names in attributes, fixed-length texts, kernel:0."""
    layers = ["dense_1", "dropout", "dense_0"]
    encode = (lambda names: np.array([name.encode() for name in names])) if bytes_names else (lambda n: n)
    if bytes_names:
        group.attrs["layer_names"] = encode(layers)
    else:
        group.attrs["layer_names0"] = layers[:2]
        group.attrs["layer_names1"] = layers[2:]
    group.attrs["backend"] = np.bytes_(b"tensorflow")
    group.attrs["keras_version"] = np.bytes_(b"2.11.0")
    key = lambda name: f"{prefix}@{name}" if prefix else name
    entries["metadata"][key("backend")] = "tensorflow"
    entries["metadata"][key("keras_version")] = "2.11.0"
    for layer in layers:
        inner = group.create_group(layer)
        names = [] if layer == "dropout" else [f"{layer}/kernel:0", f"{layer}/bias:0"]
        inner.attrs["weight_names"] = encode(names) if names else np.array([])
        for place, name in enumerate(names):
            values = np.arange(2 + place, dtype="<f4") + len(layer) + ord(layer[-1])
            inner.create_dataset(name, data=values)
            entries["tensors"].append(entry(name, values))


def keras2(file, entries):
    keras2_weights(file, entries, "", True)
    entries["ordered"] = [one["name"] for one in entries["tensors"]]


def keras2_model(file, entries):
    keras2_weights(file.create_group("model_weights"), entries, "model_weights", False)
    file.attrs["model_config"] = '{"class_name": "Sequential"}'
    entries["metadata"]["model_config"] = '{"class_name": "Sequential"}'
    optimizer = file.create_group("optimizer_weights")
    names = ["Adam/iter:0", "Adam/m:0"]
    optimizer.attrs["weight_names"] = np.array([name.encode() for name in names])
    optimizer.create_dataset(names[1], data=np.ones(2, "<f4"))
    optimizer.create_dataset(names[0], data=np.int64(5))
    entries["tensors"].append(entry("optimizer_weights/Adam/iter:0", np.int64(5)))
    entries["tensors"].append(entry("optimizer_weights/Adam/m:0", np.ones(2, "<f4")))
    file.create_dataset("extra", data=np.float32(1))
    entries["tensors"].append(entry("extra", np.float32(1)))
    entries["ordered"] = [one["name"] for one in entries["tensors"]]


def tiny():
    import keras

    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, name="first", activation="relu"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(2, name="last", dtype="bfloat16"),
        ],
        name="tiny",
    )
    model.compile(optimizer="adam", loss="mse")
    model.fit(np.ones((8, 4)), np.ones((8, 2)), epochs=1, verbose=0)
    return model


def contents(path, wanted=lambda name: True):
    """The datasets of a file as h5py reads them, in the order that we list them."""
    tensors, texts = [], {}

    def visit(name, item):
        if isinstance(item, h5py.Group):
            for key, value in item.attrs.items():
                if isinstance(value, str):
                    texts[f"{name}@{key}"] = value
            return
        value = item[()]
        if item.attrs.get("dtype") == "bfloat16":
            tensors.append({"name": name, "dtype": "BF16", "shape": list(item.shape), "hex": value.tobytes().hex()})
        elif value.dtype.kind == "V":
            return
        else:
            tensors.append(entry(name, value))

    with h5py.File(path) as file:
        texts.update({key: value for key, value in file.attrs.items() if isinstance(value, str)})
        file.visititems(visit)
    return {"tensors": tensors, "ties": [], "skipped": {}, "metadata": texts}


def models():
    model = tiny()
    model.save(DATA / "tiny.keras")
    model.save_weights(DATA / "tiny.weights.h5")
    model.save(DATA / "tiny_legacy.h5")
    expected["tiny.weights.h5"] = contents(DATA / "tiny.weights.h5")
    with zipfile.ZipFile(DATA / "tiny.keras") as archive:
        texts = {name: archive.read(name).decode() for name in ("config.json", "metadata.json")}
        with zipfile.ZipFile(DATA / "deflated.keras", "w", zipfile.ZIP_DEFLATED) as packed:
            for info in archive.infolist():
                packed.writestr(zipfile.ZipInfo(info.filename), archive.read(info), zipfile.ZIP_DEFLATED)
    for name in ("tiny.keras", "deflated.keras"):
        one = json.loads(json.dumps(expected["tiny.weights.h5"]))
        one["metadata"].update(texts)
        expected[name] = one
    # Names and order of the older format; bfloat16 has no mark there and is skipped.
    legacy = contents(DATA / "tiny_legacy.h5")
    by_path = {one["name"]: one for one in legacy["tensors"]}
    order, skipped = [], {}
    with h5py.File(DATA / "tiny_legacy.h5") as file:
        def take(path, name):
            if path in by_path:
                order.append({**by_path[path], "name": name})
            else:
                skipped[path] = "opaque bytes"

        for layer in file["model_weights"].attrs["layer_names"]:
            for weight in file["model_weights"][layer].attrs["weight_names"]:
                take(f"model_weights/{layer}/{weight}", weight)
        for weight in file["optimizer_weights"].attrs["weight_names"]:
            take(f"optimizer_weights/{weight}", f"optimizer_weights/{weight}")
    legacy["tensors"], legacy["skipped"] = order, skipped
    legacy["ordered"] = [one["name"] for one in order]
    expected["tiny_legacy.h5"] = legacy


def refused():
    """Files that are correct, and must be refused all the same."""
    folder = DATA / "refused"
    folder.mkdir(exist_ok=True)

    def make(name, fill, libver=None):
        with h5py.File(folder / f"{name}.h5", "w", libver=libver) as file:
            fill(file)

    def external_link(file):
        file["group/away"] = h5py.ExternalLink("/etc/passwd", "/x")

    def external_data(file):
        file.create_group("group").create_dataset("raw", (4,), "<f4", external=[("/etc/passwd", 0, 16)])

    def virtual(file):
        layout = h5py.VirtualLayout((4,), "<f4")
        layout[:] = h5py.VirtualSource("other.h5", "x", (4,))
        file.create_virtual_dataset("whole", layout)

    def dangling(file):
        file["group/lost"] = h5py.SoftLink("/nowhere")

    def soft_cycle(file):
        file["a"] = h5py.SoftLink("/b")
        file["b"] = h5py.SoftLink("/a")

    def cycle(file):
        group = file.create_group("a/b")
        group["back"] = file["a"]

    def lzf(file):
        file.create_dataset("x", data=ramp((100,)), chunks=(50,), compression="lzf")

    def scale_offset(file):
        file.create_dataset("x", data=ramp((100,)), chunks=(50,), scaleoffset=12)

    def long_double(file):
        file.create_dataset("x", data=np.zeros(2, np.longdouble))

    def twelve_bits(file):
        kind = h5t.STD_I16LE.copy()
        kind.set_precision(12)
        h5d.create(file.id, b"x", kind, h5s.create_simple((3,)))

    def huge(file):
        file.create_dataset("x", (1 << 40,), "<f4", chunks=(1 << 20,), compression="gzip")

    def deep(file):
        group = file
        for _ in range(80):
            group = group.create_group("g")
        group["x"] = np.float32(1)

    def missing_weight(file):
        file.attrs["layer_names"] = np.array([b"dense"])
        file.create_group("dense").attrs["weight_names"] = np.array([b"dense/kernel:0"])

    def missing_layer(file):
        file.attrs["layer_names"] = np.array([b"dense"])

    for fill in (external_link, external_data, virtual, dangling, soft_cycle, cycle, lzf, scale_offset,
                 long_double, twelve_bits, huge, deep, missing_weight, missing_layer):
        make(fill.__name__, fill)
    make("external_link_latest", external_link, "latest")


def same(value, written):
    if written["dtype"] == "BF16":
        return value.tobytes().hex() == written["hex"] and value.dtype.kind == "V"
    kinds = {letters: name for name, letters in DTYPES.items()}
    if written["dtype"] == "C32":
        return value.dtype == np.dtype([("r", "<f2"), ("i", "<f2")]) and value.tobytes().hex() == written["hex"]
    kind = np.dtype(kinds[written["dtype"]])
    return value.dtype == kind and value.tobytes().hex() == written["hex"]


def check_written(folder):
    """The folder has what the example `write_samples` wrote: files, and samples.h5.json with what is in one."""
    folder = pathlib.Path(folder)
    samples = json.loads((folder / "samples.h5.json").read_text())
    keys = ["name", "dtype", "shape", "hex"]
    samples["tensors"] = [dict(zip(keys, tensor)) for tensor in samples["tensors"]]
    count = 0
    with h5py.File(folder / "samples.h5") as file:
        found = []
        file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
        names = {one["name"] for one in samples["tensors"]}
        # A path that leads to a dataset seen already is not visited again.
        assert set(found) <= names, set(found) - names
        for one in samples["tensors"]:
            value = np.asarray(file[one["name"]][()])
            assert list(value.shape) == one["shape"], one["name"]
            assert same(value, one), (one["name"], value, one)
            count += 1
        for tied, first in samples["ties"]:
            assert file[tied] == file[first], tied
        for key, text in samples["metadata"].items():
            path, _, name = key.rpartition("@")
            owner = file[path] if path and path in file else file
            assert owner.attrs[name if owner is not file else key] == text, key
        order = list(file["ordered"])
        paths = [one["name"].partition("/") for one in samples["tensors"]]
        assert order == [last for first, _, last in paths if first == "ordered"], order
    print(f"h5py {h5py.version.version} (HDF5 {h5py.version.hdf5_version}) reads {count} tensors as written")

    def variables(model):
        # The state of a random generator is not in the file.
        stored = model.variables + model.optimizer.variables
        return [variable for variable in stored if "seed_generator" not in variable.path]

    model = tiny()
    model.load_weights(DATA / "tiny.weights.h5")
    wanted = [np.asarray(variable.value) for variable in variables(model)]
    other = tiny()
    for variable in variables(other):
        variable.assign(np.zeros(variable.shape))
    other.load_weights(folder / "tiny.weights.h5")
    found = [np.asarray(variable.value) for variable in variables(other)]
    assert len(wanted) == len(found) > 10
    for a, b in zip(wanted, found):
        assert a.dtype == b.dtype and a.tobytes() == b.tobytes()
    import keras
    print(f"Keras {keras.__version__} loads {len(found)} variables as written")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check-written", metavar="DIR")
    arguments = parser.parse_args()
    if arguments.check_written:
        check_written(arguments.check_written)
        return
    DATA.mkdir(parents=True, exist_ok=True)
    for libver, ending in ((None, ""), ("latest", "_latest")):
        write(f"types{ending}.h5", types, libver)
        write(f"chunks{ending}.h5", chunks, libver)
    write("many.h5", lambda file, entries: many(file, entries))
    write("many_latest.h5", many, "latest")
    write("far_latest.h5", far, "latest")
    write("keras2.h5", keras2)
    write("keras2_model.h5", keras2_model)
    models()
    refused()
    with open(DATA / "expected.json", "w") as out:
        json.dump(expected, out, indent=0, sort_keys=True, ensure_ascii=False)
        out.write("\n")


if __name__ == "__main__":
    sys.exit(main())
