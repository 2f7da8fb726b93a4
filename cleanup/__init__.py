"""Find, merge and prevent duplicate folders in a database, and undo every merge exactly."""

__version__ = "0.2.0"
