"""Repairs: findings become right by runs that can be undone, like cleanups."""
