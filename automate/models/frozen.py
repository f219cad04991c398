"""Rows that are written once: what they say stays as it was said."""

from collections.abc import Iterable
from typing import Any, NoReturn, TypeVar

from django.db import models

Row = TypeVar("Row", bound=models.Model)


class FrozenError(TypeError):
    """A row that is written once would be changed, or deleted by itself."""


class FrozenQuerySet(models.QuerySet[Row]):
    """Adds and finds rows; they go only along with what they belong to."""

    def update(self, **kwargs: Any) -> NoReturn:
        refuse(self.model, "changed")

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        refuse(self.model, "changed")

    def delete(self) -> NoReturn:
        refuse(self.model, "deleted")


class Frozen(models.Model):
    """A row that can be added, and then neither changed nor deleted by itself."""

    class Meta:
        abstract = True

    def save(
        self,
        *,
        force_insert: bool | tuple[models.base.ModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """Add it.

        Raises:
            FrozenError: it is there already.
        """
        if not self._state.adding:
            refuse(type(self), "changed")
        super().save(force_insert=True, using=using)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        refuse(type(self), "deleted")


def refuse(model: type[models.Model], what: str) -> NoReturn:
    """Raise the error for this."""
    raise FrozenError(f"A {model._meta.verbose_name} is written once and cannot be {what}.")
