"""The site's pages set work going, as those of the chat's own tests do."""

from tests.chat.conftest import _no_work_goes_on

__all__ = ["_no_work_goes_on"]
