"""What the pages of whole conversations need."""

from typing import Any

from django import template

from automate.conf import conf
from chat import sharing

register = template.Library()


@register.simple_tag
def may_share(user: Any) -> bool:
    """Whether this person is offered to share by a link."""
    return sharing.may_share(user)


@register.simple_tag
def sharing_is_on() -> bool:
    """Whether the site has links at all."""
    return conf().SHARING
