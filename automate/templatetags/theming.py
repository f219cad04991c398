"""What the admin's pages of ours need of the theme that is around them."""

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

from automate.admin.base import HAS_UNFOLD, UNFOLD_CSS

register = template.Library()


@register.simple_tag
def theme_style() -> SafeString:
    """The style of a page that is no form and no list, where Django's own is missing."""
    return (
        format_html('<link rel="stylesheet" href="{}">', static(UNFOLD_CSS))
        if HAS_UNFOLD
        else _NONE
    )


@register.simple_tag
def theme_title(title: str) -> SafeString:
    """The page's title, where the theme shows only what the page is about."""
    return format_html('<h2 class="automate-title">{}</h2>', title) if HAS_UNFOLD else _NONE


@register.simple_tag
def object_tool(address: str, words: str) -> SafeString:
    """A way from a list to another page, beside “Add”: an item of a list, but not in unfold."""
    form = (
        '<a class="automate-way" href="{}">{}</a>' if HAS_UNFOLD else '<li><a href="{}">{}</a></li>'
    )
    return format_html(form, address, words)


_NONE = SafeString("")
