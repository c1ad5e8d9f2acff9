"""How the bytes of a text file are to be read, told from its beginning.

A byte-order mark says so. Without one it is UTF-8, except where every other byte is zero, as of
plain letters in UTF-16: some programs write "Unicode text" without its mark.
"""

import codecs
import unicodedata

HEAD = 4096  # bytes that tell it
# The mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LEAST_ZEROS = 0.3  # of every other byte
_TIMES = 8  # as many zeros as among the others, which letters such as U+0100 and U+3000 bring
_CONTROLS = "\t\n\r\f\v\x1a"  # that text files have


def encoding_of(head: bytes) -> tuple[bytes, str]:
    r"""Return the mark that a file begins with, b"" for none, and its encoding, "" if none is told.

    Examples
    --------
    >>> encoding_of("naïve".encode("utf-8-sig")), encoding_of(b"plain")
    ((b'\xef\xbb\xbf', 'utf-8'), (b'', ''))
    >>> encoding_of("naïve".encode("utf-16-le")), encoding_of(bytes([1, 0, 2, 0, 3, 0]))
    ((b'', 'utf-16-le'), (b'', ''))
    """
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return mark, encoding
    return b"", _utf_16_without_mark(head[:HEAD])


def _utf_16_without_mark(head: bytes) -> str:
    """Return which UTF-16 it is that has no mark, "" where it is none, or no text."""
    head = head[: len(head) // 2 * 2]
    first, second = head[::2].count(0), head[1::2].count(0)
    most, least = max(first, second), min(first, second)
    if not head or most < _LEAST_ZEROS * len(head) / 2 or most <= _TIMES * least:
        return ""
    encoding = "utf-16-be" if first > second else "utf-16-le"
    text = head.decode(encoding, "ignore")
    controls = {letter for letter in text if unicodedata.category(letter) == "Cc"}
    marked_later = "\ufeff" in text or "\ufffe" in text  # joined from files of two encodings
    return "" if controls - {*_CONTROLS} or marked_later else encoding
