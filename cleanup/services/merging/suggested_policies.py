"""The policies with which refused applications can be cleaned up, and the setting to paste."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cleanup import conf

if TYPE_CHECKING:
    from cleanup.services.merging.collisions import CollisionForecast


def reported(forecast: CollisionForecast) -> list[dict[str, Any]]:
    """Return a result's details on collisions, each with the policy that would settle it, or None."""
    return [
        {
            "table": str(rows.table),
            "constraint": rows.rule.name,
            "rows": len({mine.key for mine, _ in rows.rows}),
            "policy": rows.policy or None,
        }
        for rows in forecast.colliding.values()
    ]


def policies_of(collisions: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the policies by table, from what ``reported`` returned, with which an application can be cleaned up.

    Empty if there is none for one of its collisions, or if two ask for different things.
    """
    found: dict[str, Any] = {}
    for collision in collisions:
        if not collision["policy"] or not _add(found, collision["table"], collision["policy"]):
            return {}
    return found


def _add(found: dict[str, Any], table: str, policy: Any) -> bool:
    before = found.get(table, policy)
    if isinstance(before, Mapping) and isinstance(policy, Mapping):
        found[table] = {**before, **policy}
        return bool(found[table].items() >= before.items())
    found[table] = policy
    return bool(before == policy)


def add_policies(found: dict[str, Any], details: Mapping[str, Any]) -> None:
    """Add the policies that a refused application needs to those of others."""
    for table, policy in policies_of(details.get("collisions", ())).items():
        _add(found, table, policy)


def with_those_in_force(policies: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole setting: the current one, with the missing policies added."""
    if not policies:
        return {}
    found = {
        name: dict(policy) if isinstance(policy, Mapping) else policy for name, policy in conf.collisions().items()
    }
    for table, policy in policies.items():
        name = next((name for name in found if name in {table, table.partition(".")[2]}), table)
        _add(found, name, policy)
    return found


def setting_of(policies: Mapping[str, Any]) -> str:
    """Return the setting as Python, to be pasted; empty if there is nothing to set."""
    if not policies:
        return ""
    entries = ", ".join(f"{_python(table)}: {_python(policies[table])}" for table in sorted(policies))
    return f"CLEANUP_COLLISIONS = {{{entries}}}"


def _python(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_python(key)}: {_python(entry)}" for key, entry in value.items()) + "}"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
