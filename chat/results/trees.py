"""JSON as a tree of HTML, whose wide and deep parts are folded and come when they are asked for."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from automate_llm.text import escaped_hidden
from chat.rendering import visible_text

MAX_TEXT_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of a tree is written: `lines` in all, `width` in one container, `opened` at first.

    `text` is how many characters of one text. `address` is where more of it is; where it is
    empty, what is left out is only counted.
    """

    lines: int = 400
    width: int = 100
    opened: int = 60
    text: int = MAX_TEXT_CHARACTERS
    address: str = ""


class NoSuchPart(LookupError):
    """The value has nothing at this path."""


@dataclass(slots=True)
class _Node:
    key: str
    value: Any
    path: str
    children: "list[_Node]" = field(default_factory=list)
    start: int = 0
    is_open: bool = False


def part_at(value: Any, path: str) -> Any:
    """What stands at a path. Source: RFC 6901, JSON Pointer.

    Raises:
        NoSuchPart: nothing does.
    """
    if not path:
        return value
    for step in path.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (LookupError, TypeError, ValueError):
            raise NoSuchPart(path) from None
    return value


def tree(value: Any, bounds: Bounds, path: str = "", start: int = 0) -> SafeString:
    """A whole value, or as much of it as the bounds allow."""
    return format_html('<ul class="tree">{}</ul>', items(value, bounds, path, start))


def items(value: Any, bounds: Bounds, path: str = "", start: int = 0) -> SafeString:
    """The items of an object or list, from one on; a plain value is one by itself."""
    if not _is_container(value):
        return format_html("<li>{}</li>", _leaf(value, path, bounds))
    return _items(_grown(_Node("", value, path, start=start), bounds), bounds)


def step(path: str, key: str) -> str:
    """The path to an item of what stands at a path."""
    return f"{path}/{key.replace('~', '~0').replace('/', '~1')}"


def _grown(root: _Node, bounds: Bounds) -> _Node:
    """Choose what is written: level by level, so that a deep part hides no wide one."""
    queue, written = deque([root]), 0
    while queue:
        node = queue.popleft()
        node.is_open = written < bounds.opened
        count = min(bounds.width, bounds.lines - written)
        for key, value in islice(_pairs(node.value), node.start, node.start + count):
            child = _Node(key, value, step(node.path, key))
            node.children.append(child)
            if _is_container(value):
                queue.append(child)
        written += len(node.children)
    return root


def _items(node: _Node, bounds: Bounds) -> SafeString:
    lines = format_html_join("", "<li>{}</li>", ((_line(each, bounds),) for each in node.children))
    rest = len(node.value) - node.start - len(node.children)
    return lines + _more(node, rest, bounds) if rest > 0 else lines


def _line(node: _Node, bounds: Bounds) -> SafeString:
    key = format_html('<span class="tree-key">{}</span> ', visible_text(_cut(node.key, 200)))
    if not _is_container(node.value):
        return key + _leaf(node.value, node.path, bounds)
    return format_html(
        '<details{}><summary>{}<span class="tree-size">{}</span></summary><ul>{}</ul></details>',
        mark_safe(" open") if node.is_open and node.children else "",
        key,
        _size(node.value),
        _items(node, bounds),
    )


def _leaf(value: Any, path: str, bounds: Bounds) -> SafeString:
    match value:
        case None | True | False:
            kind, text = "word", {None: "null", True: "true", False: "false"}[value]
        case int() | float():
            kind, text = "number", str(value)
        case str():
            kind, text = "text", f'"{escaped_hidden(value[: bounds.text])}"'
        case _:
            kind, text = "word", "{ }" if isinstance(value, dict) else "[ ]"
    shown = format_html('<span class="tree-{}">{}</span>', kind, text)
    rest = len(value) - bounds.text if isinstance(value, str) else 0
    if rest <= 0:
        return shown
    words = ngettext("… %(count)s more character", "… %(count)s more characters", rest)
    words %= {"count": f"{rest:,}"}
    if not bounds.address:
        return shown + format_html(' <span class="tree-size">{}</span>', words)
    address = f"{bounds.address}?{urlencode({'view': 'text', 'path': path})}"
    return shown + _link(address, address, "closest .result", words)


def _more(node: _Node, rest: int, bounds: Bounds) -> SafeString:
    """What stands for the items that are not written."""
    if not bounds.address:
        words = ngettext("… %(count)s more", "… %(count)s more", rest) % {"count": f"{rest:,}"}
        return format_html('<li class="tree-size">{}</li>', words)
    start = node.start + len(node.children)
    query = urlencode({"view": "tree", "path": node.path, "from": start})
    words = _("Show %(count)s of %(rest)s more") % {
        "count": f"{min(rest, bounds.width):,}",
        "rest": f"{rest:,}",
    }
    if rest <= bounds.width:
        words = ngettext("Show %(count)s more", "Show all %(count)s", rest) % {"count": f"{rest:,}"}
    address = f"{bounds.address}?{query}"
    part = f"{address}&part=items"
    return format_html("<li>{}</li>", _link(address, part, "closest li", words))


def _link(address: str, part: str, target: str, words: str) -> SafeString:
    return format_html(
        '<a class="more" href="{}" hx-get="{}" hx-target="{}" hx-swap="outerHTML">{}</a>',
        address,
        part,
        target,
        words,
    )


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        return iter(value.items())
    return ((str(number), each) for number, each in enumerate(value))


def _is_container(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)


def _size(value: Any) -> str:
    count = len(value)
    if isinstance(value, dict):
        words = ngettext("%(count)s field", "%(count)s fields", count)
    else:
        words = ngettext("%(count)s item", "%(count)s items", count)
    return words % {"count": f"{count:,}"}


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"
