"""`BlobStore` in memory."""


class InMemoryBlobs:
    """Values by key."""

    def __init__(self) -> None:
        self._bodies: dict[str, bytes] = {}

    def put(self, key: str, body: bytes) -> None:
        """Store `body`, over whatever was there."""
        self._bodies[key] = bytes(body)

    def get(self, key: str) -> bytes:
        """See `BlobStore.get`."""
        return self._bodies[key]
