"""The earlier name of ``cleanup.api.exception_handler``, which the URL confs of projects still hold."""

from cleanup.api.exception_handler import bad_request, server_error

__all__ = ["bad_request", "server_error"]
