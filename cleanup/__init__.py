"""Find, merge and prevent duplicate folders in a database, and undo every merge exactly."""
