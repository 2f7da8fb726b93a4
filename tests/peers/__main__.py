"""Compare, and print the tables of the manual: ``python -m tests.peers``. Needs the extra `peers`."""

import argparse
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from itertools import count

import psycopg

from tests import pgserver

PEERS = ("cleanup", "django-extensions", "django-super-deduper")
FEATURES = (
    "hidden manager",
    'related_name="+"',
    "one-to-one",
    "many-to-many",
    "generic key",
    "unique conflict",
    "nested same-named folders",
    "table that only the database knows",
)

_numbers = count(1)


def run(server: pgserver.Server, *arguments: str, feature: str | None = None) -> object:
    """Run a child on a database of its own and return what it says."""
    name = f"peers_{next(_numbers)}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.peers.settings",
        "DATABASE_URL": server.url.removesuffix("/postgres") + f"/{name}",
        **({"PEERS_FEATURE": feature} if feature else {}),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.peers.child", *arguments],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def verdict(told: dict) -> str:
    """Describe in a few words what became of a feature's rows."""
    parts = []
    if told["failure"]:
        parts.append(f"fails: `{told['failure'].partition(':')[0]}`")
    elif told["duplicates"]:
        parts.append(f"{told['duplicates']} duplicates left")
    if told["lost"]:
        kept = ", in the undo record" if told.get("undone") else ""
        parts.append(f"{told['lost']} of {told['rows']} rows {'set aside' if kept else '**lost**'}{kept}")
    if told["dangling"]:
        parts.append(f"{told['dangling']} of {told['rows']} rows **point nowhere**")
    return ", ".join(parts) or "kept"


def main() -> None:
    """Compare."""
    parser = argparse.ArgumentParser(prog="python -m tests.peers", description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=100, metavar="N", help="applications to measure speed with")
    options = parser.parse_args()
    versions = {name: metadata.version(name) for name in PEERS}
    server = pgserver.start()
    try:
        rows = [["", *(f"{name} {versions[name]}" for name in PEERS)]]
        undone = True
        for feature in FEATURES:
            told = [run(server, tool, "losses", feature=feature)[feature] for tool in PEERS]
            undone = undone and told[0]["undone"]
            rows.append([feature, *map(verdict, told)])
            print(*rows[-1], sep=" | ", file=sys.stderr, flush=True)
        rows.append(["undo", "exact" if undone else "NOT EXACT", "none", "none"])
        speeds = [float(run(server, tool, "speed", str(options.cases), feature="files alone")) for tool in PEERS]
        rows.append(["folders merged a second", *(f"{speed:,.{0 if speed >= 10 else 1}f}" for speed in speeds)])
    finally:
        server.stop()
    print(
        f"{datetime.now(tz=UTC):%Y-%m-%d}, `python -m tests.peers --cases {options.cases}`, Python"
        f" {platform.python_version()}, Django {metadata.version('django')}, {os.cpu_count()} cores\n"
    )
    for number, row in enumerate(rows):
        print("| " + " | ".join(row) + " |")
        if not number:
            print("| --- " * len(row) + "|")


if __name__ == "__main__":
    main()
