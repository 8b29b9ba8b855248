"""How long whoever gets refusals has to wait for them."""

_MOST = 5
"""Times the first wait; more would keep connections of honest clients for minutes."""


class Tarpit:
    """Of one connection: counts what went wrong on it."""

    __slots__ = ("_count", "_errors", "_seconds")

    def __init__(self, seconds: float) -> None:
        """:param seconds: the first wait."""
        self._seconds = seconds
        self._errors = 0
        self._count = 0

    def wait(self, errors: int, refused: int) -> float:
        """
        How long the next reply has to wait; 0: not at all.

        :param errors: bad commands so far, as the session counts them; it begins anew now and then.
        :param refused: refusals since the last call that are not among them.
        """
        more = max(errors - self._errors, 0) + refused
        self._errors = errors
        if not more:
            return 0.0
        self._count += more
        return self._seconds * min(self._count, _MOST)
