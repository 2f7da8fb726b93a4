"""Create an API token for an account, for programs that have no browser to log in with."""

from datetime import timedelta

from django.contrib.auth import get_user_model
from django.core.management.base import CommandParser

from cleanup import conf
from cleanup.exceptions import UnknownObject, UsageError
from cleanup.extras import API
from cleanup.management.base import DONE, ShellCommand


class Command(ShellCommand):
    """Create a token and print it once; it is stored as a hash."""

    help = "Create an API token for an account and print it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the account and the lifetime."""
        super().add_arguments(parser)
        parser.add_argument("username", help="the account that the token belongs to")
        parser.add_argument("--hours", type=int, default=24, help="hours until the token expires (default 24)")

    def perform(self) -> int:
        """Create the token. Raises UsageError."""
        API.require("A token of the REST API")
        from knox.models import get_token_model  # noqa: PLC0415  # need not be there

        most, using = conf.api_token_hours(), self.options["database"]
        if not 1 <= self.options["hours"] <= most:
            raise UsageError(f"--hours must be from 1 to {most}.")
        self.connect()
        model = get_user_model()
        named = {model.USERNAME_FIELD: self.options["username"], "is_active": True}
        user = model._default_manager.using(using).filter(**named).first()
        if user is None:
            raise UnknownObject(what="active account", key=self.options["username"])
        _, token = (
            get_token_model().objects.db_manager(using).create(user=user, expiry=timedelta(hours=self.options["hours"]))
        )
        self.stdout.write(token)
        return DONE
