"""How large an image is, by the first bytes of its file. Nothing is ever decoded here."""

import struct

_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD8)})
_JPEG_START_OF_SCAN = 0xDA


def pixels(data: bytes, media_type: str) -> int:
    """Width times height as the file says; 0 where it does not say, or the image is broken."""
    try:
        width, height = _READERS[media_type](data)
    except (KeyError, IndexError, struct.error, ValueError):
        return 0
    return width * height


def _png(data: bytes) -> tuple[int, int]:
    if data[12:16] != b"IHDR":
        raise ValueError
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _gif(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _webp(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        return _three_bytes(data, 24) + 1, _three_bytes(data, 27) + 1
    if kind == b"VP8L":
        [packed] = struct.unpack_from("<I", data, 21)
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError


def _three_bytes(data: bytes, at: int) -> int:
    part = data[at : at + 3]
    if len(part) < 3:
        raise ValueError
    return int.from_bytes(part, "little")


def _jpeg(data: bytes) -> tuple[int, int]:
    """The frame header's; the segments before it are stepped over by their lengths."""
    at = 2
    while True:
        if data[at] != 0xFF:
            raise ValueError
        marker = data[at + 1]
        if marker == 0xFF:  # a filling byte
            at += 1
        elif marker in _JPEG_BARE:
            at += 2
        elif marker == _JPEG_START_OF_SCAN:
            raise ValueError
        elif marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        else:
            [length] = struct.unpack_from(">H", data, at + 2)
            at += 2 + max(2, length)


_READERS = {"image/png": _png, "image/jpeg": _jpeg, "image/gif": _gif, "image/webp": _webp}
