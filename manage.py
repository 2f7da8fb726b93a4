#!/usr/bin/env python
"""Run Django's commands on this project.

A wrong configuration, or a database that cannot be worked with, gets one sentence and exit status 2; the whole story
is told with --traceback.
"""

import os
import sys


def main() -> None:
    """Run the command line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
        from django.db import OperationalError
    except ImportError as error:
        sys.exit(f"Django cannot be imported ({error}). Is the virtual environment the one you installed into?")
    try:
        execute_from_command_line(sys.argv)
    except (ImproperlyConfigured, OperationalError) as error:
        if "--traceback" in sys.argv:
            raise
        what = "Configuration" if isinstance(error, ImproperlyConfigured) else "Database"
        sentence = " ".join(str(error).split())
        print(f"{what}: {sentence}", file=sys.stderr)  # noqa: T201 - there may be no logging yet
        sys.exit(2)


if __name__ == "__main__":
    main()
