import io

import pytest
from django.core.management.base import OutputWrapper

from cleanup.management.terminal import (
    PLAIN_INTERVAL,
    Rows,
    RunProgress,
    asks_a_person,
    confirm,
    console,
    counted,
    safe,
    say,
)
from cleanup.services import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Gone(io.StringIO):
    def write(self, text):
        raise BrokenPipeError


def printed(*lines: str, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    say(console(OutputWrapper(stream)), *lines)
    stream.flush()
    return raw.getvalue().decode(encoding)


class TestSafe:
    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            ("Docs", "Docs"),
            ("Übersicht 文書", "Übersicht 文書"),
            ("\x1b[31mred", "\\x1b[31mred"),
            ("a\nb\tc\x00", "a\\nb\\tc\\x00"),
            ("\u202egnp.exe", "\\u202egnp.exe"),
            ("zero\u200bwidth", "zero\\u200bwidth"),
            ("\u2028", "\\u2028"),
            ("\ud800", "\\ud800"),
            ("[/red]", "[/red]"),
            (None, "None"),
        ],
    )
    def test_escapes_what_a_terminal_would_obey(self, name, shown):
        assert safe(name) == shown


class TestCounted:
    def test_knows_one_from_many(self):
        assert (counted(1, "file"), counted(0, "file"), counted(1200, "file")) == ("1 file", "0 files", "1,200 files")


class TestConsole:
    def test_interprets_no_markup(self):
        assert printed("[bold]Docs [/old] :smile: 10.0.0.1") == "[bold]Docs [/old] :smile: 10.0.0.1\n"

    def test_breaks_no_line(self):
        assert printed("SELECT 1; " * 100) == f"{('SELECT 1; ' * 100).rstrip()}\n"

    def test_escapes_what_the_encoding_lacks(self):
        assert printed("Ünder 文", encoding="latin-1") == "Ünder \\u6587\n"

    def test_colours_only_terminals(self):
        streams = io.StringIO(), Terminal()
        for stream in streams:
            say(console(OutputWrapper(stream)), "bad", style="red")
        assert ["\x1b" in stream.getvalue() for stream in streams] == [False, True]

    def test_colours_nothing_if_told_so(self):
        stream = Terminal()
        say(console(OutputWrapper(stream), color=False), "bad", style="red")
        assert "\x1b[31m" not in stream.getvalue()


class TestRows:
    def shown(self, stream: io.StringIO, *columns: str, rows: list[tuple]) -> str:
        made = Rows(*columns)
        for row in rows:
            made.add(*row)
        made.show(console(OutputWrapper(stream), color=False))
        return stream.getvalue()

    def test_show_names_as_they_are(self):
        shown = self.shown(io.StringIO(), "Name", "#Files", rows=[("[red]x\x1b[0m", 1234)])
        assert "[red]x\\x1b[0m" in shown
        assert "1,234" in shown

    def test_leave_no_blanks_at_the_ends_of_plain_lines(self):
        shown = self.shown(io.StringIO(), "Name", "Status", rows=[("a", "")])
        assert [line for line in shown.split("\n") if line.endswith(" ")] == []

    def test_are_a_table_where_it_fits(self, monkeypatch):
        monkeypatch.setenv("COLUMNS", "80")
        assert "──" in self.shown(Terminal(), "Key", "State", rows=[("k" * 36, "done")])

    def test_keep_keys_whole_on_a_narrow_terminal(self, monkeypatch):
        monkeypatch.setenv("COLUMNS", "80")
        shown = self.shown(Terminal(), "Key", "State", "Point", rows=[("k" * 36, "", "p" * 36)])
        assert shown == f"{'k' * 36}  Point: {'p' * 36}\n"


class TestConfirm:
    @pytest.mark.parametrize(
        ("answer", "agreed"), [("y\n", True), ("YES\n", True), ("\n", False), ("", False), ("yep\n", False)]
    )
    def test_takes_only_yes_for_a_yes(self, monkeypatch, answer, agreed):
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        assert confirm(OutputWrapper(io.StringIO()), "Merge?") is agreed

    def test_asks_nobody_without_standard_input(self, monkeypatch):
        monkeypatch.setattr("sys.stdin", None)
        assert asks_a_person() is False


class TestRunProgress:
    def step(self, done: int, failed: int = 0) -> Progress:
        return Progress("run", done, 10, folders_removed=done * 2, files_moved=1200, failed=failed)

    def told(self, stream: io.StringIO, monkeypatch, *, quiet: bool = False) -> str:
        clock = iter(range(0, 1000, int(PLAIN_INTERVAL)))
        monkeypatch.setattr("cleanup.management.terminal.time.monotonic", lambda: float(next(clock)))
        with RunProgress(console(OutputWrapper(stream)), title="Cleanup", quiet=quiet) as progress:
            progress(self.step(0))
            progress(self.step(5, failed=1))
        return stream.getvalue()

    def test_tells_a_plain_line_every_few_seconds(self, monkeypatch):
        lines = self.told(io.StringIO(), monkeypatch).splitlines()
        assert lines[-1] == (
            "Cleanup: 5 of 10 applications, 10 folders, 1,200 files, 1 failed, 0.5 a second, about 10 s left"
        )

    def test_tells_nothing_if_quiet(self, monkeypatch):
        assert self.told(io.StringIO(), monkeypatch, quiet=True) == ""

    def test_tells_nothing_of_a_short_run(self):
        stream = io.StringIO()
        with RunProgress(console(OutputWrapper(stream)), title="Cleanup") as progress:
            progress(self.step(5))
        assert stream.getvalue() == ""

    def test_shows_a_bar_on_a_terminal(self):
        stream = Terminal()
        with RunProgress(console(OutputWrapper(stream)), title="Cleanup") as progress:
            progress(self.step(5))
        assert "5/10" in stream.getvalue()

    def test_goes_on_when_its_reader_has_gone(self, monkeypatch):
        monkeypatch.setattr("cleanup.management.terminal.PLAIN_INTERVAL", 0)
        with RunProgress(console(OutputWrapper(Gone())), title="Cleanup") as progress:
            progress(self.step(1))
            progress(self.step(2))
        assert progress.quiet

    def test_remembers_the_run(self):
        with RunProgress(console(OutputWrapper(io.StringIO())), title="Cleanup", quiet=True) as progress:
            progress(self.step(1))
        assert progress.run_id == "run"
