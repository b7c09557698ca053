"""Compressed content, in pieces, and never more of it than was promised."""

import zlib
from pathlib import Path
from typing import BinaryIO

from unifocal.data.formats.errors import COPY_AGAIN, UnreadableError

GZIP, ZLIB, DEFLATE = 31, 15, -15
_PIECE = 1 << 18


class Inflated:
    """The content of a gzip or zlib stream, from front to back; gzip may have several members.

    Args:
        file: Where to read from.
        path: The file, for messages.
        container: `GZIP`, `ZLIB` or `DEFLATE`.
        size: How many compressed bytes there are; None: to the end of the file.
    """

    def __init__(self, file: BinaryIO, path: Path, container: int = GZIP, size: int | None = None) -> None:
        self._file, self._path, self._container, self._left = file, path, container, size
        self._engine = zlib.decompressobj(container)
        self._waiting = b""

    def read(self, count: int) -> bytearray:
        """The next `count` bytes, or fewer where the content ends before.

        Raises:
            UnreadableError: If the stream is damaged, its checksum is wrong, or it is cut short.
        """
        content = bytearray()
        while len(content) < count:
            if self._engine.eof and not self._begin_next_member():
                break
            compressed = self._waiting or self._more()
            try:
                content += self._engine.decompress(compressed, count - len(content))
            except zlib.error as error:
                what = f"is damaged (its compression: {str(error).rpartition(': ')[2]})"
                raise UnreadableError(self._path, what, COPY_AGAIN) from None
            self._waiting = self._engine.unconsumed_tail
            # At the end of its input, the engine may still hold output back.
            if not compressed and not self._engine.eof:
                raise UnreadableError(self._path, "is cut short", COPY_AGAIN, kind="truncated")
        return content

    def remaining(self, limit: int) -> int:
        """How many bytes follow, counted without keeping them, up to a little more than `limit`."""
        count = 0
        while count <= limit and (piece := self.read(min(_PIECE, limit + 1 - count))):
            count += len(piece)
        return count

    def _more(self) -> bytes:
        piece = self._file.read(_PIECE if self._left is None else min(_PIECE, self._left))
        if self._left is not None:
            self._left -= len(piece)
        return piece

    def _begin_next_member(self) -> bool:
        rest = self._engine.unused_data
        if self._container != GZIP:
            return False
        # Padding with zeros is allowed between and after members (RFC 1952 leaves it open, gzip accepts it).
        while not (rest := rest.lstrip(b"\0")):
            if not (rest := self._more()):
                return False
        if not rest.startswith(b"\x1f\x8b"[: len(rest)]):
            return False
        self._engine, self._waiting = zlib.decompressobj(self._container), rest
        return True
