"""`BlobStore` in memory."""

from collections.abc import Iterator, Sequence


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

    def keys(self, prefix: str) -> Iterator[str]:
        """See `ErasableBlobs.keys`."""
        return iter(sorted(key for key in self._bodies if key.startswith(prefix)))

    def delete(self, keys: Sequence[str]) -> None:
        """See `ErasableBlobs.delete`."""
        for key in keys:
            self._bodies.pop(key, None)
