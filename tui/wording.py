"""What is wrong with a value of the recipe or the settings, and which values a field takes, in words for a person."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from tui.messages import grouped, t

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def range_of(info: FieldInfo) -> str:
    """The numbers that a field takes, in words; empty: any."""
    limits: dict[type, str] = {}
    for rule in info.metadata:
        match rule:
            case Ge(ge=limit) | Gt(gt=limit) | Le(le=limit) | Lt(lt=limit):
                limits[type(rule)] = _number(limit)
    if Ge in limits and Le in limits:
        return f"{limits[Ge]} – {limits[Le]}"
    words = {
        Ge: t("from {number}"),
        Gt: t("above {number}"),
        Le: t("up to {number}"),
        Lt: t("below {number}"),
    }
    return ", ".join(words[kind].format(number=limit) for kind, limit in limits.items())


def _number(value: Any) -> str:
    return grouped(value) if isinstance(value, int) else f"{value:g}"


_SYSTEM = {
    errno.ENOENT: "there is no such file or folder",
    errno.EACCES: "its permissions forbid it",
    errno.EISDIR: "it is a folder",
    errno.ENOTDIR: "a part of its path is no folder",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
}


def system_words(error: OSError) -> str:
    """Why the system refused, in words for a person; rarer reasons in the system's own."""
    return t(_SYSTEM[error.errno]) if error.errno in _SYSTEM else error.strerror or str(error)


def worded(error: ErrorDetails, info: FieldInfo | None, forms: Mapping[str, str] = MappingProxyType({})) -> str:
    """What pydantic says of a wrong value, as the rest of a sentence that begins with the field's name.

    Args:
        error: one entry of `ValidationError.errors()`.
        info: the field; None where there is no such field.
        forms: what the patterns of the fields say, in words.
    """
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return t("unknown field")
        case "missing":
            return t("is missing")
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal" if info:
            return t("out of range. Allowed: {range}", range=range_of(info))
        case "int_parsing" | "int_type" | "int_from_float" | "int_parsing_size":
            return t("this has to be {kind}", kind=t("a whole number"))
        case "float_parsing" | "float_type" | "finite_number":
            return t("this has to be {kind}", kind=t("a number like 0.00002 or 2e-5"))
        case "bool_parsing" | "bool_type":
            return t("this has to be {kind}", kind=t("true or false"))
        case "string_type":
            return t("this has to be {kind}", kind=t("text"))
        case "string_unicode":
            return t("this has to be text in UTF-8; a file whose name is not has to be renamed")
        case "string_too_long":
            return t("it takes up to {count} characters", count=context["max_length"])
        case "model_type" | "model_attributes_type" | "dict_type":
            return t("this has to be {kind}", kind=t("a table"))
        case "literal_error":
            return t("this has to be one of {choices}", choices=context["expected"].replace(" or ", ", "))
        case "string_pattern_mismatch" if context["pattern"] in forms:
            return t("it takes {form}", form=t(forms[context["pattern"]]))
        case "value_error":
            return str(context["error"])
    return error["msg"]
