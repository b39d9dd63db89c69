"""Amounts in the form in which the API server keeps them, so that nothing differs after an update."""


def count_quantity(number: int) -> str:
    """A number of things: 1500, or 2k for 2000."""
    for unit in ("", "k"):
        if number == 0 or number % 1000:
            return f"{number}{unit}"
        number //= 1000
    return f"{number}M"


def cpu_quantity(millis: int) -> str:
    """Thousandths of a CPU: 500m, or 2 for 2000."""
    return f"{millis}m" if millis % 1000 else str(millis // 1000)


def memory_quantity(mib: int) -> str:
    """MiB in the largest unit in which they are whole: 1536Mi, or 2Gi for 2048."""
    for unit in ("Mi", "Gi"):
        if mib % 1024:
            return f"{mib}{unit}"
        mib //= 1024
    return f"{mib}Ti"
