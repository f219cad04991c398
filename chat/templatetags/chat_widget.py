"""`{% chat_widget %}`: the chat in a corner of any page of the site."""

from typing import Any

from django import template
from django.template import Context

register = template.Library()


@register.inclusion_tag("chat/widget.html", takes_context=True)
def chat_widget(context: Context) -> dict[str, Any]:
    """A button that opens the chat over the page; nothing for people who are not logged in.

    Needs the request or the user in the context, as Django's own context processors put them there.
    """
    request = context.get("request")
    user = getattr(request, "user", None) or context.get("user")
    return {"is_shown": bool(user is not None and user.is_authenticated)}
