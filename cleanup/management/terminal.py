"""What commands need to write to a terminal, a pipe or a file.

Names come from the database, and anyone may have typed them: ``safe`` is the only way they reach a screen. Rich never
interprets them either: the consoles created here know no markup, and text is passed as ``Text``.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cleanup import conf
from cleanup.text_safety import safe

if TYPE_CHECKING:
    from types import TracebackType

    from django.core.management.base import OutputWrapper
    from rich.progress import Progress

    from cleanup.services import Progress as Step

#: Columns without a terminal: wide enough for most lines to stay whole.
PLAIN_WIDTH = 250

#: Seconds between progress lines without a terminal.
PLAIN_INTERVAL = 5.0


def counted(number: int, noun: str) -> str:
    """Return a number with its noun in the right form, as in ``1 folder`` and ``1,200 folders``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


class Channel:
    """A command's stream in the form that Rich writes to."""

    def __init__(self, stream: OutputWrapper) -> None:
        self.stream = stream
        self.encoding: str = getattr(stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write as is, escaping what the encoding lacks; the spaces that pad tables only go to terminals."""
        if not self.isatty():
            text = "\n".join(line.rstrip(" ") for line in text.split("\n"))
        known = text.encode(self.encoding, "backslashreplace").decode(self.encoding)
        self.stream.write(known, style_func=str, ending="")
        return len(text)

    def flush(self) -> None:
        """Pass on what is buffered."""
        self.stream.flush()

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        return self.stream.isatty()

    def fileno(self) -> int:
        """Return the descriptor, if there is one."""
        return int(self.stream.fileno())


class PlainConsole(Console):
    """A console that leaves it to the command what a closed pipe means; Rich's own would exit with status 1."""

    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def console(stream: OutputWrapper, *, color: bool | None = None) -> Console:
    """Return a console on a command's stream; ``color`` forces colours on or off."""
    channel: Any = Channel(stream)
    return PlainConsole(
        file=channel,
        width=None if channel.isatty() else PLAIN_WIDTH,
        force_terminal=color or None,
        no_color=True if color is False else None,
        markup=False,
        highlight=False,
        emoji=False,
    )


def say(to: Console, *lines: object, style: str = "") -> None:
    """Print lines that are not broken, so that commands and SQL in them can be copied."""
    for line in lines:
        to.print(Text(str(line), style=style), soft_wrap=True)


class Rows:
    """Rows shown as a table or, if that is too wide for the terminal, as lines that keep every cell whole."""

    def __init__(self, *columns: str, title: str = "") -> None:
        """Take the columns' titles; those that begin with ``#`` hold numbers."""
        self.columns = [column.lstrip("#") for column in columns]
        self.numeric = [column.startswith("#") for column in columns]
        self.title = title
        self.rows: list[tuple[list[str], str]] = []

    def add(self, *cells: object, style: str = "") -> None:
        """Add a row; its cells are made safe, and numbers get separators."""
        shown = [f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else safe(cell) for cell in cells]
        self.rows.append((shown, style))

    def show(self, to: Console) -> None:
        """Print the rows. Without column titles, always as a table."""
        if self._width() <= to.width or not any(self.columns):
            to.print(self._table())
            return
        say(to, *([self.title] if self.title else ()), style="italic")
        for cells, style in self.rows:
            parts = [
                f"{column}: {cell}" if index else cell
                for index, (column, cell) in enumerate(zip(self.columns, cells, strict=True))
                if cell
            ]
            say(to, "  ".join(parts), style=style)

    def _width(self) -> int:
        lines = [self.columns, *(cells for cells, _ in self.rows)]
        return sum(3 + max(cell_len(line[index]) for line in lines) for index in range(len(self.columns)))

    def _table(self) -> Table:
        title = Text(self.title, style="italic") if self.title else None
        made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        made.show_header = any(self.columns)
        for column, is_number in zip(self.columns, self.numeric, strict=True):
            made.add_column(Text(column), justify="right" if is_number else "left", overflow="fold")
        for cells, style in self.rows:
            made.add_row(*map(Text, cells), style=style)
        return made


def asks_a_person() -> bool:
    """Return whether standard input is a terminal, so that a person can be asked."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def confirm(stream: OutputWrapper, question: str) -> bool:
    """Ask on the given stream, which is not standard output; only ``yes`` and ``y`` are a yes."""
    stream.write(f"{question} [y/N] ", style_func=str, ending="")
    stream.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


class RunProgress:
    """Shows the progress of a run: a bar on a terminal, a line every few seconds elsewhere, nothing if quiet.

    The reader may go away at any time; that never disturbs the run.
    """

    def __init__(self, to: Console, *, title: str, quiet: bool = False) -> None:
        self.to = to
        self.title = title
        self.quiet = quiet
        self.run_id: object = None
        self.done = self.total = 0
        self._bar: Progress | None = None
        self._began = self._shown_at = time.monotonic()
        self._first: int | None = None

    def __enter__(self) -> RunProgress:
        if self.to.is_terminal and not self.quiet:
            self._bar = self._drawn()
            self._task = self._bar.add_task(self.title, total=None, sums="")
            self._bar.start()
        return self

    def _drawn(self) -> Progress:
        from rich.progress import (  # noqa: PLC0415  # only a bar needs it
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        return Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[sums]}", markup=False),
            TimeRemainingColumn(),
            console=self.to,
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            try:
                self._bar.stop()
            except OSError:
                self.quiet = True

    def __call__(self, step: Step) -> None:
        """Record a step of the run, and show it."""
        self.run_id = step.run_id or self.run_id
        self.done, self.total = step.done, step.total
        if self._first is None:
            self._first = step.done
        if self.quiet:
            return
        try:
            self._show(step)
        except OSError:
            self.quiet = True

    def _show(self, step: Step) -> None:
        sums = counted(step.folders_removed, "folder")
        if conf.has_files():
            sums += f", {counted(step.files_moved, 'file')}"
        for number, what in ((step.failed, "failed"), (step.held, "on hold"), (step.skipped, "left alone")):
            sums += f", {number:,} {what}" if number else ""
        if self._bar is not None:
            self._bar.update(self._task, completed=step.done, total=step.total, sums=sums)
            return
        now = time.monotonic()
        if now - self._shown_at < PLAIN_INTERVAL:
            return
        self._shown_at = now
        rate = (step.done - (self._first or 0)) / (now - self._began)
        left = f", about {(step.total - step.done) / rate:,.0f} s left" if rate else ""
        say(
            self.to,
            f"{self.title}: {step.done:,} of {counted(step.total, 'application')}, {sums}, {rate:,.1f} a second{left}",
        )
