"""GGUF files, written by the gguf package. Espalier does not write them."""

import gguf
import ml_dtypes
import numpy as np

import common

PLAIN = ["float32", "float16", "float64", "int8", "int16", "int32", "int64"]


def make(out):
    path = out / "plain.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("golden")
    writer.add_uint32("a.u32", 7)
    writer.add_int32("a.i32", -7)
    writer.add_float32("a.f32", 0.5)
    writer.add_float64("a.f64", 0.1)
    writer.add_bool("a.bool", True)
    writer.add_uint8("a.u8", 200)
    writer.add_int8("a.i8", -100)
    writer.add_uint16("a.u16", 60000)
    writer.add_int16("a.i16", -30000)
    writer.add_uint64("a.u64", 2**63)
    writer.add_int64("a.i64", -(2**40))
    writer.add_array("a.list", [1, 2, 3])
    writer.add_array("a.words", ["one", "tw\"o"])
    writer.add_array("a.many", list(range(100)))
    writer.add_array("a.vocabulary", [f"token{i}" for i in range(100)])
    arrays = {f"{t}.weight": common.numbers(t, (2, 3)) for t in PLAIN}
    arrays["bfloat16.weight"] = common.numbers(ml_dtypes.bfloat16, (2, 3))
    arrays["conv.weight"] = common.numbers("float32", (2, 3, 2, 2))
    for name, array in arrays.items():
        if array.dtype == ml_dtypes.bfloat16:
            writer.add_tensor(name, array.view(np.uint16).view(np.uint8).reshape(2, 6),
                              raw_dtype=gguf.GGMLQuantizationType.BF16)
        else:
            writer.add_tensor(name, array)
    finish(writer)
    notes = {
        "general.architecture": "llama", "general.name": "golden", "a.u32": "7", "a.i32": "-7",
        "a.f32": "0.5", "a.f64": "0.1", "a.bool": "true", "a.u8": "200", "a.i8": "-100",
        "a.u16": "60000", "a.i16": "-30000", "a.u64": str(2**63), "a.i64": str(-(2**40)),
        "a.list": "[1, 2, 3]", "a.words": '["one", "tw\\"o"]', "a.many": "[100 values]",
        "a.vocabulary": "[100 values]",
    }
    common.expect(path, arrays, notes)

    path = out / "quantized.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_custom_alignment(64)
    dense = common.numbers("float32", (2, 64))
    dense[~np.isfinite(dense)] = 0
    writer.add_tensor("norm.weight", dense[:, :3].copy())
    for kind in [gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.Q4_0]:
        packed = gguf.quants.quantize(dense, kind)
        writer.add_tensor(f"{kind.name}.weight", packed, raw_dtype=kind)
    finish(writer)
    # The types as Espalier must know them, all of them.
    sizes = [[k.name, k.value, *gguf.GGML_QUANT_SIZES[k]] for k in gguf.GGMLQuantizationType]
    (out / "types.txt").write_text("".join(" ".join(map(str, row)) + "\n" for row in sizes))


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def check_written(_):
    print("gguf: read only")


if __name__ == "__main__":
    common.main("gguf", make, check_written)
