"""Writes kinds.parquet beside itself: kinds of columns and codecs that other programs write. With pyarrow 26.0.1."""
import datetime as dt
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

at = [dt.datetime(2026, 6, 1, 8, 0, 0, 120000), None, dt.datetime(2026, 6, 1, 8, 0, 2)]
columns = {
    "in": ("zstd", pa.array([Decimal(100), Decimal(2000), Decimal(30000)], pa.decimal128(20, 0))),
    "out": ("gzip", pa.array([Decimal("1.00"), Decimal("22.00"), Decimal("333.00")], pa.decimal128(9, 2))),
    "price": ("lz4", pa.array([Decimal("0.00125"), None, Decimal("-1.5")], pa.decimal128(20, 5))),
    "when": ("snappy", pa.array(at, pa.timestamp("us"))),
    "zoned": ("none", pa.array(at, pa.timestamp("ms", tz="Europe/Paris"))),
    "day": ("zstd", pa.array([dt.date(1970, 1, 2), None, dt.date(2026, 6, 1)], pa.date32())),
    "team": ("gzip", pa.array(["red", None, "blue"]).dictionary_encode()),
    "large": ("lz4", pa.array(["a", "b", None], pa.large_string())),
    "small": ("snappy", pa.array([1, 2, None], pa.uint8())),
    "single": ("zstd", pa.array([0.5, None, 1.5], pa.float32())),
    "flag": ("none", pa.array([True, None, False])),
    "bytes": ("none", pa.array([b"x", None, b"\xff"], pa.binary())),
    "nothing": ("none", pa.nulls(3)),
    "lists": ("zstd", pa.array([[1, 2], [], [3]], pa.list_(pa.int16()))),
    "gaps": ("none", pa.array([[1], None, [None]], pa.list_(pa.int64()))),
    "pair": ("none", pa.array([{"a": 1}, None, {"a": 3}], pa.struct([("a", pa.int32())]))),
    "brotli": ("brotli", pa.array([1, 2, 3], pa.int64())),
}
table = pa.table({name: values for name, (_, values) in columns.items()})
codecs = {path: columns[path.split(".")[0]][0] for path in [*columns, "lists.list.element", "gaps.list.element", "pair.a"]}
pq.write_table(table, Path(__file__).with_name("kinds.parquet"), compression=codecs, row_group_size=2)
