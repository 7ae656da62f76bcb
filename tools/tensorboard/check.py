"""Checks an event file with TensorBoard's own reader, against the JSON lines of the same run.

    python -m venv /tmp/tb && /tmp/tb/bin/pip install tensorboard "setuptools<81"
    /tmp/tb/bin/python tools/tensorboard/check.py EVENTS LINES

With the committed files (crates/espalier/tests/observe/golden/watch.tfevents and watch.jsonl) this
is what makes them golden; the tests themselves need no TensorBoard.
"""

import json
import math
import struct
import sys

from tensorboard.backend.event_processing import event_accumulator
from tensorboard.compat.proto import event_pb2
from tensorboard.data_compat import migrate_value
from tensorboard.summary.writer.record_writer import masked_crc32c


def single(number):
    """What a scalar of single precision keeps of a number of the lines."""
    return math.nan if number is None else struct.unpack("<f", struct.pack("<f", number))[0]


def same(a, b):
    return a == b or (math.isnan(a) and math.isnan(b))


def expected(lines):
    """The scalars and histograms, by (tag, step), that the lines ask for."""
    scalars, histograms = {}, {}
    for line in lines:
        step = line["step"]
        if "scalar" in line:
            scalars[line["scalar"], step] = line["value"]
            continue
        path = line["path"]
        for kind in ("weight", "gradient"):
            stats = line[kind]
            if stats is None:
                continue
            for name in ("norm", "mean", "std", "min", "max"):
                scalars[f"{kind} {name}/{path}", step] = stats[name]
            scalars[f"{kind} zeros/{path}", step] = stats["zeros"] / stats["count"]
            for name in ("nan", "inf"):
                if stats[name]:
                    scalars[f"{kind} {name}/{path}", step] = stats[name]
            if stats["bins"]:
                histograms[f"{kind}/{path}", step] = stats
        if line["update"] is not None:
            scalars[f"update norm/{path}", step] = line["update"]["norm"]
            scalars[f"update ratio/{path}", step] = line["update"]["ratio"]
    return scalars, histograms


def records(data):
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        assert struct.unpack("<I", data[8:12])[0] == masked_crc32c(data[:8]), "length checksum"
        event, data = data[12 : 12 + length], data[12 + length :]
        assert struct.unpack("<I", data[:4])[0] == masked_crc32c(event), "event checksum"
        yield event
        data = data[4:]


def main(events_path, lines_path):
    scalars, histograms = expected(map(json.loads, open(lines_path)))

    # TensorBoard's protobuf code writes the very same bytes, and its migration takes them.
    with open(events_path, "rb") as file:
        events = list(records(file.read()))
    for data in events:
        event = event_pb2.Event.FromString(data)
        assert event.SerializeToString(deterministic=True) == data, event
        for value in event.summary.value:
            migrate_value(value)

    keep_all = {event_accumulator.SCALARS: 0, event_accumulator.HISTOGRAMS: 0}
    reader = event_accumulator.EventAccumulator(events_path, keep_all).Reload()
    tags = reader.Tags()
    found = {(tag, e.step): e.value for tag in tags["scalars"] for e in reader.Scalars(tag)}
    assert found.keys() == scalars.keys(), found.keys() ^ scalars.keys()
    for key, value in scalars.items():
        assert same(found[key], single(value)), (key, found[key], value)

    found = {
        (tag, e.step): e.histogram_value for tag in tags["histograms"] for e in reader.Histograms(tag)
    }
    assert found.keys() == histograms.keys(), found.keys() ^ histograms.keys()
    for key, stats in histograms.items():
        histogram = found[key]
        assert list(histogram.bucket) == stats["bins"], key
        assert (histogram.min, histogram.max) == (stats["min"], stats["max"]), key
        assert histogram.bucket_limit[-1] == stats["max"], key
        assert len(histogram.bucket_limit) == len(stats["bins"]), key
        assert histogram.num == sum(stats["bins"]), key
        assert math.isclose(math.sqrt(histogram.sum_squares), stats["norm"], rel_tol=1e-12), key
    print(f"{len(events)} events, {len(scalars)} scalars, {len(histograms)} histograms: good")


if __name__ == "__main__":
    main(*sys.argv[1:])
