"""The tests' settings in a process of its own: what the test has made, and what it tells."""

import json
import os

from tests.settings import *  # noqa: F403

DATABASES["default"]["NAME"] = os.environ["TEST_DATABASE"]  # noqa: F405
AUTOMATE = json.loads(os.environ["TEST_AUTOMATE"])
CELERY_TASK_DEFAULT_QUEUE = AUTOMATE.get("EXECUTOR_QUEUE") or "celery"
if "huey.contrib.djhuey" in INSTALLED_APPS:  # noqa: F405
    HUEY["name"] = os.environ["TEST_QUEUE"]  # noqa: F405
