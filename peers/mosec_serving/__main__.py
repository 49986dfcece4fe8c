"""python -m peers.mosec_serving"""

import os

MAX_BATCH = 16
MAX_WAIT_MS = 10
# the defaults of the other services
LIMITS = {
    "MOSEC_TIMEOUT": "30000",
    "MOSEC_CAPACITY": "256",
    "MOSEC_MAX_REQUEST_SIZE": str(16 * 1024 * 1024),
    "MOSEC_LOG_LEVEL": "warning",
}


def main() -> None:
    """Serve until a signal stops it."""
    os.environ["MOSEC_ADDRESS"] = os.environ.get("HOST") or "127.0.0.1"
    os.environ["MOSEC_PORT"] = os.environ.get("PORT") or "8080"
    for name, value in LIMITS.items():
        os.environ.setdefault(name, value)
    # Mosec reads some of these variables when it is imported
    from mosec import Server

    from peers.mosec_serving.worker import ImageWorker

    server = Server()  # type: ignore[no-untyped-call]  # Mosec's own has no types
    server.append_worker(ImageWorker, max_batch_size=MAX_BATCH, max_wait_time=MAX_WAIT_MS, route="/predict/")
    server.run()  # type: ignore[no-untyped-call]  # Mosec's own has no types


if __name__ == "__main__":
    main()
