"""Describe the columns of a Parquet file by a VOTable in its metadata, as the IVOA note VOTable-in-Parquet 1.0 says."""

from xml.sax.saxutils import quoteattr

import pyarrow as pa

KEY = b"IVOA.VOTable-Parquet."
_TYPES = {
    pa.bool_(): "boolean",
    pa.uint8(): "unsignedByte",
    pa.int16(): "short",
    pa.int64(): "long",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.string(): "char",
}
_TEXT = "64*"
"""Size of a text: astropy cannot join the description of an unlimited one with its column, and no reader cuts longer texts."""


def with_votable(schema: pa.Schema, name: str) -> pa.Schema:
    """Return the schema with a VOTable without data in its metadata: one field for each column, in their order."""
    return schema.with_metadata({KEY + b"version": b"1.0", KEY + b"content": votable_of(schema, name).encode()})


def votable_of(schema: pa.Schema, name: str) -> str:
    """Return the VOTable of a schema whose fields have unit, ucd and description in their metadata."""
    fields = "\n".join(_field(field) for field in schema)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">\n<RESOURCE type="results">\n'
        f'<COOSYS ID="icrs" system="ICRS"/>\n<TABLE name={quoteattr(name)}>\n{fields}\n</TABLE>\n</RESOURCE>\n</VOTABLE>\n'
    )


def _field(field: pa.Field) -> str:
    about = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    found = {"name": field.name, **_shape(field.type), "unit": about.get("unit"), "ucd": about.get("ucd")}
    if field.name in {"ra", "dec"}:
        found["ref"] = "icrs"
    attributes = " ".join(f"{name}={quoteattr(value)}" for name, value in found.items() if value)
    text = about.get("description", "").replace("&", "&amp;").replace("<", "&lt;")
    return f"<FIELD {attributes}><DESCRIPTION>{text}</DESCRIPTION></FIELD>"


def _shape(kind: pa.DataType) -> dict[str, str]:
    if pa.types.is_list(kind):
        return {"datatype": _TYPES[kind.value_type], "arraysize": "*"}
    return {"datatype": _TYPES[kind], **({"arraysize": _TEXT} if kind == pa.string() else {})}
