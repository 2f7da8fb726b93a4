"""Ready hooks for ``CLEANUP_TREE_HOOK``: they keep the columns that repeat a folder's place in its tree.

    CLEANUP_TREE_HOOK = "cleanup.hooks.mptt"
    CLEANUP_TREE_HOOK = {"hook": "cleanup.hooks.nested_set", "left": "lft", "right": "rgt"}

Each is called as ``hook(using=alias, application_ids=[...])`` by a program that wants the columns computed anew;
``recompute(using=alias)`` calls all of the setting.
"""

from cleanup.hooks.ready import ReadyHook, recompute

mptt = ReadyHook("mptt")
nested_set = ReadyHook("nested_set")
materialized_path = ReadyHook("materialized_path")
ltree = ReadyHook("ltree")
closure_table = ReadyHook("closure_table")

__all__ = ["closure_table", "ltree", "materialized_path", "mptt", "nested_set", "recompute"]
