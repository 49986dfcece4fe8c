"""Who may hold a connection: up to a limit all, beyond it those who came last before those who do nothing."""

from typing import Protocol


class Holder(Protocol):
    """A connection as seen by the places."""

    def sends(self) -> bool:
        """Tell whether the client still has to read from this connection."""

    def give_way(self) -> None:
        """Close at once."""


class ConnectionPlaces:
    """The places of a process's connections.

    A connection is idle from its beginning until it has a request to answer, and again when it has none. When
    all places are taken, the connection that has been idle longest gives its place to a newcomer. If none is
    idle, the newcomer is turned away: it stays connected to be told so, until it is the oldest of too many.
    """

    def __init__(self, most: int, most_turned_away: int) -> None:
        self.most = most
        self._most_turned_away = most_turned_away
        self._taken: set[Holder] = set()
        self._idle: dict[Holder, None] = {}
        self._turned_away: dict[Holder, None] = {}

    def enter(self, newcomer: Holder) -> bool:
        """Give the newcomer a place; return False if it is turned away."""
        if len(self._taken) >= self.most:
            idle = next((holder for holder in self._idle if not holder.sends()), None)
            if idle is None:
                self._turn_away(newcomer)
                return False
            self.leave(idle)
            idle.give_way()
        self._taken.add(newcomer)
        self._idle[newcomer] = None
        return True

    def work(self, holder: Holder) -> None:
        """Note that this connection has a request to answer."""
        self._idle.pop(holder, None)

    def rest(self, holder: Holder) -> None:
        """Note that this connection has no request to answer any more."""
        if holder in self._taken:
            self._idle[holder] = None

    def leave(self, holder: Holder) -> None:
        """Free what the connection holds, if it still holds anything."""
        self._taken.discard(holder)
        self._idle.pop(holder, None)
        self._turned_away.pop(holder, None)

    def _turn_away(self, newcomer: Holder) -> None:
        self._turned_away[newcomer] = None
        if len(self._turned_away) > self._most_turned_away:
            oldest = next(iter(self._turned_away))
            self.leave(oldest)
            oldest.give_way()
