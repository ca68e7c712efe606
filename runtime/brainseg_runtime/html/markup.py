"""Markup that cannot be injected into: text is escaped unless its type says that it is markup already."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping


class Html(str):
    """Markup that may stand in a page as it is; every other string is escaped first."""

    __slots__ = ()


def escape(value: object) -> Html:
    r"""Makes any value safe inside an element or a quoted attribute; `Html` passes through unchanged.

    Args:
        value: Anything; `str(value)` is shown. Lone surrogates, which a file name can hold, become `\udcXX` in text.

    Returns:
        Markup that shows exactly that text and can be encoded as UTF-8.
    """
    if isinstance(value, Html):
        return value
    text = str(value).encode("utf-8", "backslashreplace").decode("utf-8")
    return Html(html.escape(text, quote=True))


def element(name: str, attributes: Mapping[str, object] | None = None, *children: object) -> Html:
    """Builds one element, its attributes and its children escaped.

    Args:
        name: The tag, written by the program and never taken from data.
        attributes: Attribute names to values; one whose value is None is left out, floats keep two decimals.
        *children: Markup (`Html`) or anything else, which is escaped.

    Returns:
        The element, with its closing tag.
    """
    written = "".join(f' {key}="{_attribute(value)}"' for key, value in (attributes or {}).items() if value is not None)
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def join(parts: Iterable[object], separator: str = "") -> Html:
    """Escapes each part and puts them one after the other."""
    return Html(separator.join(escape(part) for part in parts))


def _attribute(value: object) -> str:
    """A value as it stands between an attribute's quotes; markup is text there and is escaped too."""
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return escape(str(value))
