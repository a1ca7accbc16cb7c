"""Reads thrift structs of the compact protocol, which Parquet uses, from untrusted bytes."""

from typing import Any

Fields = dict[int, Any]
"""Values by field id: numbers, bytes, lists, and nested structs as `Fields`."""

_MAX_DEPTH = 16
_MAX_FIELD = 2**10
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_NUMBERS = (4, 5, 6)


class ThriftError(ValueError):
    """The bytes are not a struct, or two readers could parse them differently."""


def read_struct(data: bytes) -> tuple[Fields, int]:
    """Return the struct at the start of the bytes, and its length in bytes.

    Raises:
        ThriftError: the bytes do not begin with a struct.
        IndexError: the bytes end before the struct does.
    """
    reader = _Reader(data)
    return reader.struct(0), reader.at


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def struct(self, depth: int) -> Fields:
        if depth > _MAX_DEPTH:
            raise ThriftError(f"structs are nested more than {_MAX_DEPTH} deep")
        fields: Fields = {}
        field = 0
        while head := self._byte():
            step, kind = head >> 4, head & 15
            field = field + step if step else self._number()
            if field in fields or not 0 < field < _MAX_FIELD:
                raise ThriftError(f"field id {field} is repeated or out of range")
            fields[field] = kind == _TRUE if kind in {_TRUE, _FALSE} else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in _NUMBERS:
            return self._number()
        if kind == _BINARY:
            return self._bytes(self._varint())
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind in {_LIST, _SET}:
            return self._list(depth + 1)
        if kind in {_TRUE, _FALSE, _BYTE}:
            return self._byte()
        if kind == _DOUBLE:
            return self._bytes(8)
        raise ThriftError(f"a value of unknown type {kind}")

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        n, kind = head >> 4, head & 15
        n = self._varint() if n == 15 else n
        if n > len(self._data) - self.at or depth > _MAX_DEPTH:
            raise ThriftError(f"a list of {n} elements in {len(self._data) - self.at} bytes, or nested too deep")
        return [self._value(kind, depth) for _ in range(n)]

    def _byte(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise ThriftError("an integer has more than 10 bytes")

    def _number(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)

    def _bytes(self, n: int) -> bytes:
        self.at += n
        if self.at > len(self._data):
            raise IndexError(f"needs {n} bytes, got {len(self._data) - self.at + n}")
        return self._data[self.at - n : self.at]
