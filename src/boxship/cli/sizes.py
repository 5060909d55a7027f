"""Numbers of bytes, as people read them."""


def shown(size: int) -> str:
    """``1.5 GB``, in powers of 1000 as disks and registries count them."""
    value, unit = float(size), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{size} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
