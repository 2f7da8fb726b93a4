"""Make a token of the API for an account, as for a program that has no browser to log in by."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, CommandError
from knox.models import get_token_model

from cleanup import conf


class Command(BaseCommand):
    """Print a token, once; it is stored as a hash."""

    help = "Make a token of the REST API for an account, and print it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the account and the life."""
        parser.add_argument("username", help="the account, whose permissions the token has")
        parser.add_argument("--hours", type=int, default=24, help="until it expires (default 24)")

    def handle(self, *_: Any, **options: Any) -> None:
        """Make it. Raises CommandError."""
        most = conf.api_token_hours()
        if not 1 <= options["hours"] <= most:
            raise CommandError(f"A token lives for 1 to {most} hours.", returncode=2)
        users = get_user_model()._default_manager
        user = users.filter(**{get_user_model().USERNAME_FIELD: options["username"], "is_active": True}).first()
        if user is None:
            raise CommandError(f"There is no active account {options['username']}.", returncode=2)
        _, token = get_token_model().objects.create(user=user, expiry=timedelta(hours=options["hours"]))
        self.stdout.write(token)
