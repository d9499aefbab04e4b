"""Typed values: dataclasses, enums and pydantic models are stored as plain maps and come back as the annotated type.

Stored plain, so that another release, or another language, can read them. pydantic is used only where it is already
in the annotation; everything else is rebuilt by the shapes in this package.
"""

from durableq.words.typed.recording import decode_typed, dump_data, encode_typed, load_data, roundtrip_typed
from durableq.words.typed.returns import result_type

__all__ = ["decode_typed", "dump_data", "encode_typed", "load_data", "result_type", "roundtrip_typed"]
