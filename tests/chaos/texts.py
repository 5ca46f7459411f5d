"""Texts of any size for payloads: ASCII, four-byte characters, control characters and quotes."""

import hashlib
import json
import math
import random
from typing import Any

__all__ = ["ALPHABETS", "LARGEST", "digest_of", "marked_text", "payload_arguments", "random_size", "varied_text"]

# Bytes of JSON: OPTIONS["max_payload"], less what stands around a text.
LARGEST = 1_048_576 - 1_024
LARGE_SHARE, LARGE = 0.25, (100_000, 900_000)
ALPHABETS = {
    "ascii": "abcdefghijklmnopqrstuvwxyz 0123456789",
    "four-byte": "\U0001f600\U0001f984\U00020000\U0001d11e",
    "control": "\x01\x1f\x7f\"'\\\n\r\t/%{}",
    "mixed": 'aä€\U0001f600"\\\n\x02\u2028 ',
}


def random_size(rng: random.Random) -> int:
    """Return bytes: most of the time any order of magnitude is as likely as another, often it is a large one."""
    if rng.random() < LARGE_SHARE:
        return rng.randint(*LARGE)
    return round(math.exp(rng.uniform(0.0, math.log(LARGEST))))


def varied_text(size: int, alphabet: str, start: int = 0) -> str:
    """Return a text of at most `size` bytes of JSON, at least one character."""
    found = ALPHABETS[alphabet]
    found = found[start % len(found) :] + found[: start % len(found)]
    cost = len(json.dumps(found, ensure_ascii=False).encode()) - 2
    return found * (size // cost) or found[0]


def marked_text(key: str, size: int, alphabet: str, start: int = 0) -> str:
    """Return such a text that begins with its key and size, by which the meter knows it; a small one has no mark."""
    mark = f"<<chaos {key} {size}>>"
    if size < 4 * len(mark):
        return varied_text(size, alphabet, start)
    return mark + varied_text(size - len(mark), alphabet, start)


def payload_arguments(rng: random.Random, key: str, size: int | None = None) -> dict[str, Any]:
    """Return those of a job of the task `payload`; size: bytes, by default a random number of them."""
    alphabet = rng.choice([*ALPHABETS])
    text = marked_text(key, size or random_size(rng), alphabet, rng.randrange(100))
    return {"text": text, "digest": digest_of(text), "echo": rng.random() < 0.3}


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
