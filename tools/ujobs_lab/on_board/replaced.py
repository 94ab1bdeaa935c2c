"""Other attributes and modules for the duration of a `with` block, on both interpreters."""

import sys

_MISSING = object()


class Replaced:
    """Within the block, the attributes of `target` have these values. Of a dict: its items."""

    def __init__(self, target, **values):
        self._target = target
        self._values = values
        self._real = {}

    def __enter__(self):
        for name, value in self._values.items():
            self._real[name] = self._get(name)
            self._set(name, value)

    def __exit__(self, *error):
        for name, value in self._real.items():
            self._set(name, value)

    def _get(self, name):
        return self._target.get(name, _MISSING) if self._is_dict() else getattr(self._target, name, _MISSING)

    def _set(self, name, value):
        if self._is_dict():
            if value is _MISSING:
                del self._target[name]
            else:
                self._target[name] = value
        elif value is _MISSING:
            delattr(self._target, name)
        else:
            setattr(self._target, name, value)

    def _is_dict(self):
        return isinstance(self._target, dict)


def with_modules(**modules):
    """Within the block, these modules are imported: `with with_modules(machine=fake):`."""
    return Replaced(sys.modules, **modules)
