"""A service's life: starting, ready, draining; or failed."""


class Lifecycle:
    """Where the service stands; flags that any thread may read and that only ever go one way."""

    __slots__ = ("draining", "failure", "ready")

    def __init__(self) -> None:
        self.ready = False
        self.draining = False
        self.failure: str | None = None

    @property
    def accepting(self) -> bool:
        """Tell whether a request that arrives now is served, if its model is ready."""
        return not self.draining and self.failure is None

    def fail(self, message: str) -> None:
        """Note, once, why the service must end."""
        if self.failure is None:
            self.failure = message
