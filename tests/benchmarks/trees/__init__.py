"""Folders and files that no application owns, on the tables of the benchmark."""
