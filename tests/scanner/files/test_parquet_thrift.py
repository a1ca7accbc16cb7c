"""Structs of thrift's compact protocol, encoded by hand from its specification."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.files.parquet_thrift import ThriftError, read_struct


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        (b"\0", {}),
        (b"\x15\x0a\x15\x01\0", {1: 5, 2: -1}),
        (b"\x16\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\0", {1: -(2**63)}),
        (b"\x26\xac\x02\0", {2: 150}),
        (b"\x11\x12\0", {1: True, 2: False}),
        (b"\x13\x07\0", {1: 7}),
        (b"\x17\0\0\0\0\0\0\xf0\x3f\0", {1: b"\0\0\0\0\0\0\xf0\x3f"}),
        (b"\x18\x03abc\0", {1: b"abc"}),
        (b"\x19\x35\x02\x04\x06\0", {1: [1, 2, 3]}),
        (b"\x19\xf5\x10" + b"\x02" * 16 + b"\0", {1: [1] * 16}),
        (b"\x1a\x28\x01a\x01b\0", {1: [b"a", b"b"]}),
        (b"\x1c\x15\x02\0\x15\x04\0", {1: {1: 1}, 2: 2}),
        (b"\x05\xc8\x01\x02\0", {100: 1}),
    ],
)
def test_structs_are_read_to_their_end(data, fields):
    assert read_struct(data + b"more") == (fields, len(data))
    for end in range(len(data)):
        with pytest.raises((IndexError, ThriftError)):
            read_struct(data[:end])


@pytest.mark.fault(31)
@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x15\x02\x05\x02\x02\0", "field id 1 is repeated or out of range"),
        (b"\x05\x80\x10\x02\0", "field id 1024 is repeated or out of range"),
        (b"\x05\x01\x02\0", "field id -1 is repeated or out of range"),
        (b"\x1c" * 30, "structs are nested more than 16 deep"),
        (b"\x19" + b"\x19" * 30, "nested too deep"),
        (b"\x19\xf5\xff\xff\xff\xff\x07", "a list of 2147483647 elements in 0 bytes"),
        (b"\x15" + b"\xff" * 11, "an integer has more than 10 bytes"),
        (b"\x1b\0\0", "a value of unknown type 11"),
    ],
)
def test_structs_that_no_writer_makes_are_refused(data, says):
    with pytest.raises(ThriftError, match=says):
        read_struct(data)


@pytest.mark.fault(31)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_struct_or_refused(data):
    try:
        fields, n_bytes = read_struct(data)
    except (ThriftError, IndexError):
        return
    assert n_bytes <= len(data)
    assert all(0 < field < 1024 for field in fields)
