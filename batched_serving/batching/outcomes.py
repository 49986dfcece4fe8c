"""What can become of an item beside its result: a caller turns each into its own refusal."""


class Refused(Exception):  # noqa: N818 - an outcome, not an error
    """The item was not taken; after `retry_after_s` the same one would be, if nothing else came."""

    def __init__(self, reason: str, retry_after_s: float) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Full(Refused):
    """As many items or bytes wait as may."""


class Late(Refused):
    """By what batches have taken lately, the item's result would come after its deadline."""


class Draining(Exception):  # noqa: N818 - an outcome, not an error
    """The batcher takes nothing new, because it is about to end."""


class Expired(Exception):  # noqa: N818 - an outcome, not an error
    """The item's deadline passed before its result was there."""


class Unwanted(Exception):  # noqa: N818 - an outcome, not an error
    """Nobody wanted the item's result any more when its turn came, so it was not computed."""


class Died(Exception):  # noqa: N818 - an outcome, not an error
    """What computes batches has ended although it should not: nothing more will be computed."""
