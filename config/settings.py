"""Settings of the runnable site; everything that differs by machine comes from the environment."""

import os
from pathlib import Path
from typing import Any

from django.core.management.utils import get_random_secret_key

BASE_DIR = Path(__file__).resolve().parent.parent


def _flag(name: str) -> bool:
    return os.environ.get(name, "").lower() in ("1", "true", "yes", "on")


def _words(name: str) -> list[str]:
    return [word.strip() for word in os.environ.get(name, "").split(",") if word.strip()]


DEBUG = _flag("DEBUG")
# Without a key of its own the site still starts; its sessions then end with the process.
SECRET_KEY = os.environ.get("SECRET_KEY") or get_random_secret_key()
ALLOWED_HOSTS = _words("ALLOWED_HOSTS") or ["localhost", "127.0.0.1", "[::1]"]

INSTALLED_APPS = [
    "config",
    "chat",
    "automate",
    "django_htmx",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


def _database() -> dict[str, Any]:
    if url := os.environ.get("DATABASE_URL"):
        import dj_database_url

        found: dict[str, Any] = dict(dj_database_url.parse(url, conn_health_checks=True))
        if found["ENGINE"].endswith("postgresql"):
            # Whatever waits, for a model or a browser, gives its connection back: few are enough.
            size = int(os.environ.get("DATABASE_POOL") or 8)
            pool = {"min_size": 1, "max_size": size, "timeout": 60}
            found["OPTIONS"] = {**found.get("OPTIONS", {}), "pool": pool}
        return found
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("SQLITE_PATH", BASE_DIR / "db.sqlite3"),
        "OPTIONS": {
            # Readers do not wait for the writer, and a writer waits its turn.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
        },
    }


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LANGUAGE_CODE = "en"
# Each in its own words. A browser is shown the first of its languages that is here.
LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("ar", "العربية")]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"

# Files that tools answer with. Nothing serves this folder: a view gives each file to its owner.
MEDIA_ROOT = os.environ.get("MEDIA_ROOT") or BASE_DIR / "media"
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "chat:index"
LOGOUT_REDIRECT_URL = "login"

SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _flag("SECURE_COOKIES")
SECURE_CONTENT_TYPE_NOSNIFF = True

AUTOMATE: dict[str, Any] = {
    "MODELS": {
        "default": {
            "MODEL": os.environ.get("OPENAI_MODEL", "gpt-5-mini"),
            "BASE_URL": os.environ.get("OPENAI_BASE_URL", ""),
            "API_KEY": "env:OPENAI_API_KEY",
            "CONTEXT_TOKENS": int(os.environ.get("OPENAI_CONTEXT_TOKENS") or 50_000),
        }
    },
    # Where `manage.py demo` may start its own MCP servers.
    "MCP_PRIVATE_HOSTS": ("127.0.0.1",),
    "NOTICE": os.environ.get("AUTOMATE_NOTICE", ""),
    "EXECUTOR": os.environ.get("AUTOMATE_EXECUTOR") or "thread",
    "REDIS_URL": os.environ.get("REDIS_URL", ""),
}

REDIS_URL = os.environ.get("REDIS_URL", "")

# Where AUTOMATE_EXECUTOR is celery: turns go by Redis, or by RabbitMQ (amqp://…).
CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL") or REDIS_URL or "redis://127.0.0.1:6379/0"
CELERY_BROKER_CONNECTION_TIMEOUT = 4
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1  # a worker that is busy leaves turns to the others
if CELERY_BROKER_URL.startswith("redis"):
    CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 4, "socket_timeout": 10}

# Where it is tasks: turns go by the site's own database, or by Huey and Redis.
if AUTOMATE["EXECUTOR"] == "tasks":
    _backend = os.environ.get("TASKS_BACKEND") or "django_tasks_db.DatabaseBackend"
    TASKS = {"default": {"BACKEND": _backend}}
    if _backend.startswith("huey."):
        INSTALLED_APPS.append("huey.contrib.djhuey")
        HUEY = {
            "huey_class": "huey.RedisExpireHuey",  # forgets results after a day
            "name": "automate",
            "immediate": False,
            "connection": {"url": REDIS_URL or "redis://127.0.0.1:6379/0"},
        }
    else:
        INSTALLED_APPS.append(_backend.partition(".")[0])

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"turn": {"()": "chat.logs.TurnFilter"}},
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"},
        "json": {"()": "chat.logs.JSONFormatter"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "filters": ["turn"],
            "formatter": "json" if os.environ.get("LOG_FORMAT") == "json" else "line",
        }
    },
    "root": {"handlers": ["console"], "level": os.environ.get("LOG_LEVEL", "WARNING")},
}
