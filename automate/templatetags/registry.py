"""What the templates of the registry's admin show of tools."""

import json
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from automate.admin.schema_tree import schema_shown
from automate.admin.showing import json_shown, visible
from automate.models import MCPTool

register = template.Library()
_SHORT = 120


@register.filter(is_safe=True)
def seen(text: Any) -> SafeString:
    """The text, escaped, with the number of each hidden character in its place."""
    return visible(str(text))


@register.filter(is_safe=True)
def as_json(value: Any) -> SafeString:
    """A value as JSON over several lines."""
    return json_shown(value)


@register.filter(is_safe=True)
def as_schema(schema: Any) -> SafeString:
    """A JSON Schema as a tree that opens and closes, with its JSON."""
    return schema_shown(schema)


@register.filter(is_safe=True)
def as_value(value: Any) -> SafeString:
    """A value of a schema: on one line where it is short."""
    if isinstance(value, dict | list) and len(repr(value)) > _SHORT:
        return json_shown(value)
    return format_html("<code>{}</code>", visible(json.dumps(value, ensure_ascii=False)))


@register.filter
def field_name(name: str) -> str:
    """What people call a part of a tool's definition."""
    field: Any = MCPTool._meta.get_field(name)
    return capfirst(str(field.verbose_name))
