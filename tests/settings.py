"""The runnable site's settings, made fit for tests: quick hashing, a database file of its own."""

import os
import tempfile

from config.settings import *  # noqa: F403

DEBUG = False
SECRET_KEY = "only-for-tests"
ALLOWED_HOSTS = ["*"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# A thread that waits for work must not keep the test database from being dropped.
DATABASES["default"]["CONN_MAX_AGE"] = 0  # noqa: F405
DATABASES["default"].get("OPTIONS", {}).pop("pool", None)  # noqa: F405
MEDIA_ROOT = tempfile.mkdtemp(prefix="automate-files-")
if not os.environ.get("DATABASE_URL"):
    # A file, not memory: threads and child processes must see the same rows, as on a real site.
    DATABASES["default"]["TEST"] = {  # noqa: F405
        "NAME": os.path.join(tempfile.mkdtemp(prefix="automate-tests-"), "test.sqlite3")
    }
elif DATABASES["default"]["ENGINE"].endswith("mysql"):  # noqa: F405
    DATABASES["default"]["TEST"] = {"CHARSET": "utf8mb4"}  # noqa: F405

INSTALLED_APPS.insert(0, "tests.quick_flush")  # noqa: F405

# One of the backends of tasks has tables, which the tests' database must have.
if "django_tasks_db" not in INSTALLED_APPS:  # noqa: F405
    INSTALLED_APPS.append("django_tasks_db")  # noqa: F405

AUTOMATE = {"MCP_PRIVATE_HOSTS": ("127.0.0.1", "localhost")}
