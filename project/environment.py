"""Read settings from environment variables, strictly.

Whatever is wrong becomes one sentence (ImproperlyConfigured) that names the variable; a value that may be a secret
is never part of it.
"""

import os
import secrets
from collections.abc import Collection
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}


def text(name: str, *, default: str = "") -> str:
    """Return the variable, without surrounding blanks."""
    return os.environ.get(name, default).strip()


def items(name: str, *, default: str = "") -> list[str]:
    """Return a comma-separated variable as a list."""
    return [item.strip() for item in text(name, default=default).split(",") if item.strip()]


def flag(name: str, *, default: bool = False) -> bool:
    """Return a yes-or-no variable.

    Raises:
        ImproperlyConfigured: it is neither yes nor no.

    """
    value = text(name, default="true" if default else "false").lower()
    if value in TRUE:
        return True
    if value in FALSE:
        return False
    raise ImproperlyConfigured(f"{name} must be true or false.")


def choice(name: str, *, default: str, among: Collection[str]) -> str:
    """Return a variable that is one of a few words, in upper case.

    Raises:
        ImproperlyConfigured: it is none of them.

    """
    value = text(name).upper() or default
    if value not in among:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(among)}.")
    return value


def number(name: str, *, default: int) -> int:
    """Return a whole number that is not negative.

    Raises:
        ImproperlyConfigured: it is not such a number.

    """
    value = text(name) or str(default)
    if not value.isascii() or not value.isdigit():
        raise ImproperlyConfigured(f"{name} must be a whole number, 0 or more.")
    return int(value)


def share(name: str, *, default: float) -> float:
    """Return a number above 0, at most 1.

    Raises:
        ImproperlyConfigured: it is not such a number.

    """
    try:
        value = float(text(name) or default)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise ImproperlyConfigured(f"{name} must be a number above 0, at most 1.")
    return value


def log_file(name: str) -> Path | None:
    """Return the file that takes the log, made if need be so that only its owner reads it; None: there is no file.

    Raises:
        ImproperlyConfigured: it cannot be written.

    """
    if not text(name):
        return None
    path = Path(text(name)).resolve()
    try:
        path.touch(mode=0o600)
        with path.open("ab"):
            pass
    except OSError as error:
        raise ImproperlyConfigured(f"{name} is {path}, which cannot be written ({error.strerror}).") from None
    return path


def kept_secret(path: Path) -> str:
    """Return the secret of this installation, made on first use and kept in a file that only its owner can read.

    Processes that start together agree on one: the file appears whole, under its name, or not at all.

    Raises:
        ImproperlyConfigured: the file can neither be read nor made.

    """
    try:
        if not path.exists():
            draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
            draft.touch(mode=0o600, exist_ok=False)
            try:
                draft.write_text(secrets.token_urlsafe(64), encoding="ascii")
                path.hardlink_to(draft)
            except FileExistsError:
                pass  # another process was first; its secret is the one
            finally:
                draft.unlink()
        secret = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ImproperlyConfigured(f"Set DJANGO_SECRET_KEY: no secret can be kept in {path} ({reason}).") from None
    if len(secret) < 50:
        raise ImproperlyConfigured(f"{path} holds no usable secret: delete it, or set DJANGO_SECRET_KEY.")
    return secret
