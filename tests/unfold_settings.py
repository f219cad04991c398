"""The tests' settings with django-unfold in front of the admin, for a process of its own.

It takes the database of the tests that start it, by the name in `UNFOLD_DATABASE`.
"""

import os

from tests.settings import *  # noqa: F403

INSTALLED_APPS.insert(INSTALLED_APPS.index("django.contrib.admin"), "unfold")  # noqa: F405
DATABASES["default"]["NAME"] = os.environ["UNFOLD_DATABASE"]  # noqa: F405
