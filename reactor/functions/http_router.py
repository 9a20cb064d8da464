"""Which HTTP action answers a request: the exact path first, then the longest prefix.

Pure look-up; requests and responses are Starlette's and belong to `server`. A HEAD request is
answered by the GET route.
"""

from __future__ import annotations

from reactor.errors import LoadError
from reactor.functions.registry import FunctionSpec


class HttpRouter:
    """The routes of one app. Filled by the loader, read only afterwards."""

    def __init__(self) -> None:
        self._exact: dict[tuple[str, str], FunctionSpec] = {}
        self._prefixes: dict[str, list[tuple[str, FunctionSpec]]] = {}

    def add(self, spec: FunctionSpec) -> None:
        """Serve `spec` at its route. LoadError when another function has exactly that route."""
        route = spec.route
        if route is None:
            raise LoadError(f"`{spec.path}` is not an HTTP action and has no route.")
        if route.is_prefix:
            prefixes = self._prefixes.setdefault(route.method, [])
            taken = next((other for prefix, other in prefixes if prefix == route.path), None)
            if taken is None:
                prefixes.append((route.path, spec))
                prefixes.sort(key=lambda entry: len(entry[0]), reverse=True)
        else:
            taken = self._exact.setdefault((route.method, route.path), spec)
            taken = None if taken is spec else taken
        if taken is not None:
            raise LoadError(
                f"`{taken.name}` ({taken.location}) and `{spec.name}` ({spec.location}) both "
                f"answer {route}. Give one of them another path or method."
            )

    def match(self, method: str, path: str) -> FunctionSpec | None:
        """The function for a request; `path` without query string. O(number of prefixes)."""
        method = "GET" if method == "HEAD" else method
        exact = self._exact.get((method, path))
        if exact is not None:
            return exact
        for prefix, spec in self._prefixes.get(method, ()):
            if path.startswith(prefix):
                return spec
        return None

    def __len__(self) -> int:
        """How many routes there are; 0 means that the app has no HTTP actions at all."""
        return len(self._exact) + sum(map(len, self._prefixes.values()))
