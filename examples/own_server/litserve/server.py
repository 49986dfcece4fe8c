"""LitServe's hello world: {"input": x} is answered with {"output": x**2 + x**3}."""

import os
import signal
from collections.abc import Callable

import litserve


class HelloWorld(litserve.LitAPI):  # type: ignore[misc]  # the package is installed for this example alone
    """Two functions stand for two models."""

    square: Callable[[float], float]
    cube: Callable[[float], float]

    def setup(self, device: str) -> None:
        """Load the models, once in each worker."""
        del device
        self.square = lambda x: x**2
        self.cube = lambda x: x**3

    def decode_request(self, request: dict[str, float]) -> float:
        """Return the number in the request's JSON."""
        return request["input"]

    def predict(self, x: float) -> float:
        """Return what the two models give together."""
        return self.square(x) + self.cube(x)

    def encode_response(self, output: float) -> dict[str, float]:
        """Return the answer's JSON."""
        return {"output": output}


if __name__ == "__main__":
    # LitServe 0.2.19 ends its other processes after Ctrl-C, and leaves them behind after SIGTERM
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    server = litserve.LitServer(HelloWorld(), accelerator="cpu")
    host, port = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8000"))
    server.run(host=host, port=port, generate_client_file=False)
