"""Short digests that show whether a value has changed."""

import hashlib
import json


def digest(value: object, length: int = 12) -> str:
    """The first `length` hexadecimal digits of the SHA-256 of a value that JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:length]
