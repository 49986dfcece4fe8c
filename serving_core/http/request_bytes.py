"""The bytes of a request while it arrives, counted so that all of them are bounded before it is whole."""

# A body in chunks may bring as many bytes beside its own as a head has, and one more for each so many.
BODY_BYTES_A_BYTE_BESIDE = 8


class RequestBytes:
    """Counts a request's head, its body, and what comes beside the body: chunks' sizes, extensions, trailers.

    A parser tells what a read brought, but not where in it. So the bytes of a read in which one part ends and
    the next begins may stay uncounted; bytes of an earlier request are never counted.
    """

    __slots__ = (
        "_beside",
        "_head",
        "_head_ended",
        "_most",
        "_read",
        "_read_of_body",
        "_uncounted",
        "_was_in_body",
        "body",
        "in_body",
        "in_head",
    )

    def __init__(self, most: int) -> None:
        """`most` limits a head, and what comes beside a body."""
        self._most = most
        self.in_head = self.in_body = False
        self.body = self._head = self._uncounted = self._beside = 0
        self.begin_read(0)

    def begin_read(self, length: int) -> None:
        """Note that the parser gets `length` bytes now."""
        self._read = length
        self._read_of_body = 0
        self._head_ended = False
        self._was_in_body = self.in_body

    def begin_head(self) -> None:
        """Note that a request begins."""
        self.in_head = True

    def end_head(self) -> None:
        """Note that its head is complete."""
        self.in_head = False
        self.in_body = self._head_ended = True
        self.body = self._head = self._uncounted = self._beside = 0

    def take_body(self, length: int) -> None:
        """Note that `length` bytes of this read are of the body."""
        self._read_of_body += length

    def end_body(self) -> None:
        """Note that the request is whole."""
        self.in_body = False

    def head_may_be_long(self) -> bool:
        """Tell whether so much was read that the head that ends now may be over the limit."""
        return self._read + self._head > self._most

    def end_read(self) -> str | None:
        """Count the read; return what is too long of the request that goes on, None if nothing is."""
        if self.in_body:
            return self._end_read_in_body()
        if not self.in_head and (self._head_ended or self._was_in_body):
            return None  # the read ended with a request
        self._head += self._read  # or the empty lines before a head
        if self._head_ended or self._was_in_body:
            self._uncounted = self._read
        if self._head - self._uncounted <= self._most:
            return None
        return f"the headers are over {self._most} bytes: send fewer or shorter ones"

    def _end_read_in_body(self) -> str | None:
        self.body += self._read_of_body
        if not self._head_ended:
            self._beside += self._read - self._read_of_body
        if self._beside <= self._most + self.body // BODY_BYTES_A_BYTE_BESIDE:
            return None
        return f"over {self._most} bytes came beside the body: send longer chunks, and no trailers"
