"""A person, a scripted model and a shop, as the tests of the chat have them."""

from tests.chat.conftest import _no_work_goes_on, executor, model, user

__all__ = ["_no_work_goes_on", "executor", "model", "user"]
