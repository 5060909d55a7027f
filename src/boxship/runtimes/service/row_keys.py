"""A fast test for unknown fields, made once for a row's type."""

from collections.abc import Callable
from typing import Any

from boxship.runtimes.service.records import Record, arms, item_of, record_of, value_of

KeyCheck = Callable[[Any], bool]


def key_check(hint: Any) -> KeyCheck | None:
    """Whether a decoded JSON value has no unknown fields, as a test; ``None`` where all may."""
    return _key_check(hint, {})


def _key_check(hint: Any, memo: dict[Any, KeyCheck | None]) -> KeyCheck | None:
    kinds, _ = arms(hint)
    kind = kinds[0] if len(kinds) == 1 else None
    record, item, held = record_of(kind), item_of(kind), value_of(kind)
    if record is not None:
        return _record_check(record, memo)
    if item is not None and (of_item := _key_check(item, memo)):
        return lambda value: value is None or all(map(of_item, value))
    if held is not None and (of_held := _key_check(held, memo)):
        return lambda value: value is None or all(map(of_held, value.values()))
    return None


def _record_check(record: Record, memo: dict[Any, KeyCheck | None]) -> KeyCheck | None:
    if record.type in memo:
        # A type within itself: its check is looked up when it runs, after it was made.
        return lambda value: _recurse(memo[record.type], value)
    memo[record.type] = None
    checks = [(field.name, _key_check(field.hint, memo)) for field in record.fields]
    nested = [(name, check) for name, check in checks if check is not None]
    if not record.closed and not nested:
        return None
    known = record.known if record.closed else None

    def check(value: Any) -> bool:
        if value is None:
            return True
        if known is not None and not known.issuperset(value):
            return False
        return all(inner(value[name]) for name, inner in nested if name in value)

    memo[record.type] = check
    return check


def _recurse(check: KeyCheck | None, value: Any) -> bool:
    return check is None or check(value)
