"""What Django's migrations draw up again and again, drawn up once: the models as they were before and after each.

A migration needs the models of its time as classes, and Django makes them from their states: all of them for each
`migrate`, many for each operation. That is most of what a migration costs here, and thousands of tests migrate. So a
field of a state is copied instead of taken apart and built anew, and models of the same states as in an earlier
`migrate` are made once. Processes that tests start migrate as Django does, and `TestMigratedDatabase` compares.
"""

import copy
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db.migrations.state import ModelState, ProjectState, StateApps
from django.db.models import Field

#: How many sets of models are kept.
KEPT = 12
#: The latest of them, by what they are made of, each with the objects that its key names by identity.
_made: dict[tuple, tuple[list, StateApps]] = {}


def speed_up() -> None:
    """Have it so from now on."""
    render = ModelState.render

    def render_copies(state: ModelState, apps: StateApps) -> type:
        copies = state.clone()
        copies.fields = {name: _Copied(field) for name, field in state.fields.items()}
        return render(copies, apps)

    ModelState.render = render_copies
    ProjectState.apps.func = _apps


class _Copied:
    """A field that is about to be cloned."""

    def __init__(self, field: Field) -> None:
        self.field = field

    def clone(self) -> Field:
        """Return a copy; as a new one, it comes after all fields that there are."""
        if self.field.name is not None:  # which a copy would keep: the autodetector gives one to what may be renamed
            return self.field.clone()
        made = copy.deepcopy(self.field)
        made.creation_counter = Field.creation_counter
        Field.creation_counter += 1
        return made


def _apps(state: ProjectState) -> StateApps:
    objects: list[object] = []
    key = (frozenset(state.real_apps), frozenset(_described(state, objects)))
    objects, made = _made.pop(key, None) or (objects, StateApps(state.real_apps, state.models))
    _made[key] = objects, made
    if len(_made) > KEPT:
        del _made[next(iter(_made))]
    return made.clone()


def _described(state: ProjectState, objects: list[object]) -> Iterator[tuple]:
    """Yield what each model is made of, and note it, so that no other object gets its identity."""

    def same(thing: Any) -> Any:
        if isinstance(thing, (list, tuple, set, frozenset)):
            return tuple(map(same, thing))
        if isinstance(thing, str | bool | None):
            return repr(thing)
        if isinstance(thing, Field) and thing.is_relation:  # which renaming makes anew each time
            return repr(thing.deconstruct())
        objects.append(thing)
        return id(thing)

    for key, model in state.models.items():
        parts = (model.fields.items(), model.options.items(), model.managers, model.bases)
        swapped = getattr(settings, model.options.get("swappable", ""), None)
        yield *key, swapped, repr([[same(part) for part in some] for some in parts])
