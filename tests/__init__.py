"""The test suite: unit (no database), integration, acceptance, reliability, browser, benchmarks."""

from pathlib import Path

#: The project's folder.
ROOT = Path(__file__).resolve().parent.parent
