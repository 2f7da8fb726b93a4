"""The test suite: unit (no database), integration, acceptance, reliability, browser, benchmarks."""
