#!/usr/bin/env python
"""Run Django's commands on this project. A wrong configuration gets one sentence and exit status 2."""

import os
import sys


def main() -> None:
    """Run the command line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
    except ImportError as error:
        sys.exit(f"Django cannot be imported ({error}). Is the virtual environment the one you installed into?")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        if "--traceback" in sys.argv:
            raise
        print(f"Configuration: {error}", file=sys.stderr)  # noqa: T201 - the last word before there is any logging
        sys.exit(2)


if __name__ == "__main__":
    main()
