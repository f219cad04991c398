"""What our admin classes are made from: django-unfold's where the site has it, else Django's.

Unfold styles forms and lists of its own classes only, and has no style for pages that are made by
hand; `unfold.css` gives them the colours and classes of Django's admin.
"""

from typing import TYPE_CHECKING, ClassVar

from django.apps import apps

HAS_UNFOLD = apps.is_installed("unfold")
UNFOLD_CSS = "automate/unfold.css"

if TYPE_CHECKING or not HAS_UNFOLD:
    from django.contrib.admin import ModelAdmin, StackedInline
else:
    from unfold import admin as unfold

    class ModelAdmin(unfold.ModelAdmin):
        """Unfold's, with the style for what is ours on its pages."""

        class Media:
            css: ClassVar[dict[str, list[str]]] = {"all": [UNFOLD_CSS]}

    StackedInline = unfold.StackedInline

__all__ = ["HAS_UNFOLD", "UNFOLD_CSS", "ModelAdmin", "StackedInline"]
