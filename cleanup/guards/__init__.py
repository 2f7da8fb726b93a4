"""The constraints that keep duplicates from coming back: an app whose migrations contain nothing else."""
