"""Settings of the ready-to-run project, all from environment variables, safe when nothing is set.

Unset, that is: debug off, answering on this machine only, a secret of its own, an SQLite file beside manage.py.
The manual's chapter on adopting documents every variable.
"""

import sys
from pathlib import Path

import django
from django.db.backends.signals import connection_created

from cleanup.api.schema_settings import SETTINGS as SCHEMA_SETTINGS
from cleanup.extras import API, Extra
from project import database, environment

# What an installation without the extra lacks is said in a sentence, before any of it is imported.
PACKAGES = {"csp": "django-csp", "dj_database_url": "dj-database-url", "whitenoise": "whitenoise", **API.packages}
Extra(name="project", packages=PACKAGES).require("The project")

BASE_DIR = Path(__file__).resolve().parent.parent

# Where this installation keeps what it makes: the SQLite file and the secret.
DATA_DIR = Path(environment.text("DJANGO_DATA_DIR") or BASE_DIR).resolve()

# --- Security ---------------------------------------------------------------------------------------------------------

DEBUG = environment.flag("DJANGO_DEBUG")
# Web servers, clusters and commands of one installation must share the secret (sessions, signed tasks). Where none is
# given, the first process makes one and keeps it in a git-ignored file. Several machines: set DJANGO_SECRET_KEY.
SECRET_KEY = environment.text("DJANGO_SECRET_KEY") or environment.kept_secret(DATA_DIR / ".secret_key")
SECRET_KEY_FALLBACKS = environment.items("DJANGO_SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = environment.items("DJANGO_ALLOWED_HOSTS", default="localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = environment.items("DJANGO_CSRF_TRUSTED_ORIGINS")

# On as soon as browsers reach the site by https: redirect, secure cookies, HSTS for this host.
HTTPS = environment.flag("DJANGO_HTTPS")
SECURE_SSL_REDIRECT = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = environment.number("DJANGO_HSTS_SECONDS", default=31_536_000) if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = environment.flag("DJANGO_HSTS_INCLUDE_SUBDOMAINS")
SECURE_HSTS_PRELOAD = environment.flag("DJANGO_HSTS_PRELOAD")
# W005, W021: whether HSTS binds other hosts of the domain, and the browsers' built-in list, is its owner's decision.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
# Only behind a proxy that sets this header itself; else anyone could claim to have come by https.
if environment.flag("DJANGO_BEHIND_PROXY"):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    CLEANUP_PROXIES = 1
# What Django's page for a failure shows while debugging, and a mail to administrators, hides more than by default.
DEFAULT_EXCEPTION_REPORTER_FILTER = "project.failures.SecretFilter"
X_FRAME_OPTIONS = "DENY"
# In the admin's frame, below its address, with what to do.
CSRF_FAILURE_VIEW = "cleanup.admin.errors.csrf_failure"
# Nothing inline, nothing from elsewhere: whatever a folder is called, it stays text.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "base-uri": ["'none'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "img-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
    },
}

# --- Application ------------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "cleanup",  # before the admin, to whose index it adds a line
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_q",
    "cleanup.guards",
]

MIDDLEWARE = [
    # First, so that every line of a request's log has its id.
    "cleanup.middleware.correlation_id_middleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    # The language that the person's browser asks for.
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "cleanup.admin.middleware.PersonTimeZoneMiddleware",
    "cleanup.logins.LimitedLoginsMiddleware",
]

ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
ASGI_APPLICATION = "project.asgi.application"

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

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "admin:login"
AUTHENTICATION_BACKENDS = ["cleanup.logins.LimitedLogins", "django.contrib.auth.backends.ModelBackend"]
# Where a login leads if it names no page of ours to continue to.
LOGIN_REDIRECT_URL = "admin:index"

REST_FRAMEWORK = {
    # JSON only, and nothing for strangers: a view that wants less says so itself.
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}

# For the command "spectacular" and its checks; the API's own page brings them along.
SPECTACULAR_SETTINGS = {**SCHEMA_SETTINGS, "ENUM_GENERATE_CHOICE_DESCRIPTION": False}

# --- Database ---------------------------------------------------------------------------------------------------------

# The pool belongs to web servers, whose wsgi or asgi module was imported before this one. A command opens as many
# connections as it has workers, and a cluster forks: pooled connections would be shared by parent and child.
SERVING = "project.wsgi" in sys.modules or "project.asgi" in sys.modules

DATABASES = {
    "default": database.parse_database_url(
        environment.text("DATABASE_URL"),
        default_file=DATA_DIR / "db.sqlite3",
        pool_size=environment.number("DATABASE_POOL_SIZE", default=10) if SERVING else 0,
        transaction_pooling=environment.flag("DATABASE_TRANSACTION_POOLING"),
    ),
}
if not environment.flag("DATABASE_TRANSACTION_POOLING"):
    connection_created.connect(database.make_usable)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Background tasks -------------------------------------------------------------------------------------------------

# The same in every process. A task is a thin tick that may come twice, so: never retried by the cluster itself
# (max_attempts, ack_failures), not fetched ahead (queue_limit, bulk), no catching up on missed hours (catch_up).
# `retry` counts from the fetch, so it must outlast `timeout`.
TASK_TIMEOUT = 300
Q_CLUSTER = {
    "name": "cleanup",
    "orm": "default",
    "workers": environment.number("DJANGO_Q_WORKERS", default=2),
    "queue_limit": 1,
    "bulk": 1,
    "poll": 1,
    "guard_cycle": 1,
    "timeout": TASK_TIMEOUT,
    "retry": 2 * TASK_TIMEOUT + 60,
    "max_attempts": 1,
    "ack_failures": True,
    "catch_up": False,
    "save_limit": 250,
    "recycle": 500,
}

# --- Time, language, static files -------------------------------------------------------------------------------------

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGES = [("de", "Deutsch"), ("en", "English")]
# Of people whose browser asks for neither, and of mails.
LANGUAGE_CODE = environment.choice("DJANGO_LANGUAGE_CODE", default="EN", among=("EN", "DE")).lower()
USE_I18N = True

# Served by this process from where the apps keep them: nothing to collect, no second server.
STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True

# --- Logging ----------------------------------------------------------------------------------------------------------

LOG_LEVEL = environment.choice(
    "DJANGO_LOG_LEVEL", default="WARNING", among=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
)
LOG_FORMAT = environment.choice("DJANGO_LOG_FORMAT", default="LINE", among=("LINE", "JSON"))
# Where there is no file, to standard error: standard output belongs to the results of commands.
LOG_FILE = environment.log_file("DJANGO_LOG_FILE")
LOG_HANDLER = (
    {"class": "logging.handlers.WatchedFileHandler", "filename": LOG_FILE, "encoding": "utf-8"}
    if LOG_FILE
    else {"class": "logging.StreamHandler"}
)
CLEANUP_LOG_ON_TERMINAL = environment.flag("CLEANUP_LOG_ON_TERMINAL")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"context": {"()": "cleanup.logs.ContextFilter"}},
    "formatters": {
        "line": {"()": "cleanup.logs.LineFormatter", "format": "{asctime} {levelname} {name}: {message}", "style": "{"},
        "json": {"()": "cleanup.logs.JsonFormatter"},
    },
    "handlers": {
        "log": {**LOG_HANDLER, "formatter": LOG_FORMAT.lower(), "filters": ["context"]},
    },
    "root": {"handlers": ["log"], "level": LOG_LEVEL},
    "loggers": {
        # Django would add a console handler of its own while debugging; one is enough.
        "django": {"handlers": [], "propagate": True},
        # Statements with their values, which are names of people, folders and files.
        "django.db.backends": {"level": "INFO"},
        # Any scanner that guesses host names would write a traceback for each; it gets its 400.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}

# --- Cleanup ----------------------------------------------------------------------------------------------------------

CLEANUP_DUTY_CYCLE = environment.share("CLEANUP_DUTY_CYCLE", default=1)

# --- Mail -------------------------------------------------------------------------------------------------------------

# For alerts alone.
_MAIL_SERVER = {
    "host": environment.text("DJANGO_EMAIL_HOST", default="localhost"),
    "port": environment.number("DJANGO_EMAIL_PORT", default=25),
    "username": environment.text("DJANGO_EMAIL_USER"),
    "password": environment.text("DJANGO_EMAIL_PASSWORD"),
    "use_tls": environment.flag("DJANGO_EMAIL_TLS"),
    "timeout": 10,
}
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"OPTIONS": _MAIL_SERVER}}
else:
    EMAIL_HOST, EMAIL_PORT = _MAIL_SERVER["host"], _MAIL_SERVER["port"]
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _MAIL_SERVER["username"], _MAIL_SERVER["password"]
    EMAIL_USE_TLS, EMAIL_TIMEOUT = _MAIL_SERVER["use_tls"], _MAIL_SERVER["timeout"]
DEFAULT_FROM_EMAIL = environment.text("DJANGO_EMAIL_FROM", default="cleanup@localhost")
CLEANUP_ALERT_EMAILS = environment.items("CLEANUP_ALERT_EMAILS")
CLEANUP_ALERT_PRIVATE_ADDRESSES = environment.flag("CLEANUP_ALERT_PRIVATE_ADDRESSES")
