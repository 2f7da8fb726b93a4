#!/usr/bin/env python
"""Run Django's commands on this project.

A wrong configuration, or a database that cannot be worked with, gets one sentence and exit status 2; the whole story
is told with --traceback.
"""

import gc
import os
import sys


def main() -> None:
    """Run the command line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    # What is loaded stays. Looking for garbage in it meanwhile takes a tenth of what a short command takes.
    gc.disable()
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import BaseCommand, ManagementUtility
        from django.db import OperationalError
    except ImportError as error:
        sys.exit(f"Django cannot be imported ({error}). Is the virtual environment the one you installed into?")

    class Utility(ManagementUtility):
        def fetch_command(self, subcommand: str) -> BaseCommand:
            """Return the command; from here on, where everything is loaded, garbage is collected."""
            command = super().fetch_command(subcommand)
            gc.enable()
            return command

    try:
        Utility(sys.argv).execute()
    except (ImproperlyConfigured, OperationalError) as error:
        if "--traceback" in sys.argv:
            raise
        what = "Configuration" if isinstance(error, ImproperlyConfigured) else "Database"
        sentence = " ".join(str(error).split())
        print(f"{what}: {sentence}", file=sys.stderr)  # noqa: T201 - there may be no logging yet
        sys.exit(2)


if __name__ == "__main__":
    main()
