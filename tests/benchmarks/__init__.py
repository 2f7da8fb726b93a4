"""Speed and memory, measured as ratios to bare SQL within one run on one machine: ``python -m tests.benchmarks``."""
