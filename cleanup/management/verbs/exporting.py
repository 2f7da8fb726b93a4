"""Write an undo as a script."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from cleanup.exceptions import UsageError
from cleanup.management import rendering
from cleanup.management.base import DONE, FOUND
from cleanup.management.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from cleanup.management.commands.database_cleanup import Command
    from cleanup.services.results import UndoScript


def export_undo(command: Command) -> Outcome:
    """Write a script that undoes a rollback point or a run."""
    output = command.options["output"]
    if output:
        script = _written_to(Path(output), command)
        return _outcome(script, lambda to: rendering.show_undo_script(to, script, file=output))
    script = command.service.export_undo(command.options["export_undo"], write=partial(command.stdout.write, ending=""))
    rendering.show_undo_script(command.err, script, file="")
    return _outcome(script, lambda _: None)


def _outcome(script: UndoScript, show: Callable[[Console], None]) -> Outcome:
    return Outcome(script, show, FOUND if script.expired else DONE)


def _written_to(path: Path, command: Command) -> UndoScript:
    """Write the script to a file, which is there only if all of it is. Raises UsageError."""
    unfinished = path.with_name(f"{path.name}.part")
    try:
        with _private(unfinished) as file:
            script = command.service.export_undo(command.options["export_undo"], write=file.write)
        unfinished.replace(path)
    except OSError as error:
        raise UsageError(f"Cannot write to {path}: {os.strerror(error.errno or 0)}.") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()
    return script


def _private(path: Path) -> IO[str]:
    """Open a file that only its owner may read: it holds data."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8", newline="")
