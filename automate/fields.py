"""Fields that mean the same on every database."""

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

if TYPE_CHECKING:
    Text = models.CharField[str, str]
else:
    Text = models.CharField


class ExactCharField(Text):
    """A name that is somebody else's, compared by its characters.

    MariaDB and MySQL by default take `Search` and `search`, or `é` and `e`, for the same, so that
    the second of two tools could not be stored, or the first be found in its place.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:
        parameters: dict[str, Any] = dict(super().db_parameters(connection))
        if connection.vendor == "mysql":
            parameters["collation"] = "utf8mb4_bin"
        return parameters
