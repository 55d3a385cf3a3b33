"""The spellings that OTLP has in JSON: of ids, kinds, codes, times and values.

ValueError with a sentence about what is none of them.
"""

import base64
import json
import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

TRACE_ID: Final = 32  # hex digits
SPAN_ID: Final = 16
_HEX: Final = re.compile(r"[0-9a-fA-F]+")
_KINDS: Final = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_CODES: Final = ("UNSET", "OK", "ERROR")
_KIND_BY_NUMBER: Final = {**dict(enumerate(_KINDS)), 0: "INTERNAL"}
_LATEST: Final = 2**64  # times are 64 bits


@lru_cache(4096)
def id_of(value: object, digits: int) -> str:
    """Read an id: hex digits, in OTLP's JSON, or base64, in the JSON of protobuf. "" if it is empty or zero."""
    if not value:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"the id {value!r} is none")
    id = value.lower() if len(value) == digits and _HEX.fullmatch(value) else _other_id(value, digits)
    return id if id.strip("0") else ""


def _other_id(value: str, digits: int) -> str:
    if digits == TRACE_ID and len(value) == digits // 2 and _HEX.fullmatch(value):
        return value.lower().zfill(digits)  # 64 bits
    try:
        text = value.rstrip("=").replace("-", "+").replace("_", "/")
        id = base64.b64decode(text + "=" * (-len(text) % 4), validate=True).hex()
    except ValueError:
        id = ""
    if len(id) != digits:
        raise ValueError(f"the id {value!r} is none")
    return id


def kind_of(value: Any) -> str:
    """Read a kind: its number, its name, or nothing at all, which is INTERNAL."""
    if (kind := _KIND_BY_NUMBER.get(value or 0)) is None:
        kind = _named(value, "SPAN_KIND_", _KINDS)
    return "INTERNAL" if kind == "UNSPECIFIED" else kind


def is_error(code: Any) -> bool:
    """Read the code of a status: its number, its name, or nothing at all."""
    return bool(code) and _named(code, "STATUS_CODE_", _CODES) == "ERROR"


def _named(value: Any, prefix: str, names: tuple[str, ...]) -> str:
    name = str(value).upper().removeprefix(prefix)
    if name in names:
        return name
    if not name.isdecimal() or int(name) >= len(names):
        raise ValueError(f"{value!r} is none of {', '.join(prefix + each for each in names)}")
    return names[int(name)]


def microseconds(value: Any) -> int | None:
    """Read a time in nanoseconds; None if there is none, or zero."""
    try:
        nanoseconds = int(value or 0)
    except (ValueError, OverflowError):
        raise ValueError(f"the time {value!r} is none") from None
    if not 0 <= nanoseconds < _LATEST:
        raise ValueError(f"the time {value!r} is none")
    return nanoseconds // 1000 or None


def texts(holder: Mapping[str, Any] | None) -> dict[str, str]:
    """Read the attributes of a span or of a resource as texts, as Zipkin has them."""
    if not holder:
        return {}
    found: dict[str, str] = {}
    for each in holder.get("attributes") or ():
        value = each.get("value")
        content = value.get("stringValue") if value else ""
        # Of 100,000 spans the names are the same few; what is no text cannot be interned.
        found[sys.intern(each["key"])] = content if type(content) is str else _text(value)
    return found


def text(value: object) -> str:
    """Read a name or a message; "" if there is none."""
    if not isinstance(value, str | None):
        raise ValueError(f"{value!r} is no text")
    return value or ""


def _text(value: Mapping[str, Any] | None) -> str:
    content = _content(value)
    if isinstance(content, str):
        return content
    return "" if content is None else json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _content(value: Mapping[str, Any] | None) -> Any:
    for name, content in (value or {}).items():
        match name:
            case _ if content is None:
                continue
            case "arrayValue" | "array_value":
                return [_item(each) for each in content.get("values") or ()]
            case "kvlistValue" | "kvlist_value":
                return {each["key"]: _item(each.get("value")) for each in content.get("values") or ()}
            case _:
                return content
    return None


def _item(value: Mapping[str, Any] | None) -> Any:
    # Within an array or a map a number is written without quotes, whatever its spelling was.
    number = next((value[name] for name in ("intValue", "int_value") if value and value.get(name) is not None), None)
    return _content(value) if number is None else int(number)
