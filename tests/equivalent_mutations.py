"""Small changes that change nothing anybody could notice, and why (tests/mutation_score.py)."""

from __future__ import annotations

from typing import Final

_GATE, _KEYS, _LIMITS = "src/access/gate.py", "src/storage/key_store.py", "src/access/rate_limits.py"
_WATCH, _FILTERS, _SQL = "src/access/watch.py", "src/analytics/filters.py", "src/storage/sql_parts.py"
_FORGET = "src/storage/forget.py"

_WHY: Final[dict[str, tuple[str, ...]]] = {
    "without a pepper the last condition refuses, whatever was compared": (
        f"{_GATE} Gate._genuine: record and pepper → record or pepper",
    ),
    "the only row, result or project": (
        "src/storage/guard.py check: 0 → -1",
        "src/storage/guard.py check: 0 → -1 (#2)",
        "src/storage/guard.py check: 0 → -1 (#3)",
        f"{_KEYS} KvKeyStore._key_from_d1: 0 → -1",
        f"{_KEYS} KvKeyStore._key_from_d1: 0 → -1 (#2)",
        f"{_KEYS} KvKeyStore._account_from_d1: 0 → -1",
        f"{_LIMITS} RateLimits.admit: 0 → -1",
    ),
    "raised to be caught: nobody reads it": (
        f"{_KEYS} key_from_json: 'a key record of another version' → ''",
        f"{_KEYS} key_from_json: 'a broken key record' → ''",
        f"{_KEYS} account_from_json: 'an account record of another version' → ''",
    ),
    "a name that only the type checker or pydantic reads": (
        "src/access/cache.py : 'T' → ''",
        "src/access/plans.py : Literal['free', 'pro', 'business'] → None",
        "src/access/plans.py : 'free' → ''",
        "src/access/plans.py : 'pro' → ''",
        "src/access/plans.py : 'business' → ''",
        f"{_FILTERS} _known_field: 'filter_field' → ''",
        f"{_FILTERS} Filter._value_suits_operator: 'filter_value' → ''",
        f"{_FILTERS} Filter._value_suits_operator: 'filter_value' → '' (#2)",
        f"{_FILTERS} Filter._value_suits_operator: 'filter_value' → '' (#3)",
        f"{_FILTERS} Filter._value_suits_operator: 'filter_value' → '' (#4)",
    ),
    "in whichever hour, nothing and one is one": (
        f"{_WATCH} Noticed.count: 0 → 1",
        f"{_WATCH} Noticed.count: 0 → -1",
    ),
    "any word that is no code": (f"{_WATCH} Watch.used: 'used' → ''",),
    "before `::` an address has no empty group, or no group at all": (f"{_WATCH} network_of: group → True",),
    "less than one is none": (f"{_LIMITS} Buckets.spend: 0 → -1",),
    "`in` a list of one is `eq`": (f"{_SQL} holds: 'neq' → '' (#2)",),
    "how much one round of forgetting takes on: there are only more rounds or fewer": (
        f"{_FORGET} : 50 → 51",
        f"{_FORGET} : 50 → 49",
        f"{_FORGET} : 1000 → 1001",
        f"{_FORGET} : 1000 → 999",
    ),
    "what is found twice is deleted once": (
        f"{_FORGET} : ' AS key\\n  FROM (SELECT DISTINCT d.visitor, seen.day FROM ('"
        " → ' AS key\\n  FROM (SELECT d.visitor, seen.day FROM ('",
    ),
    "SQL needs no blank there": (f"{_SQL} _compared: ' ' → ''", f"{_SQL} _compared: ' ' → '' (#2)"),
}
#: What `str(Small)` says of the change → why.
EQUIVALENT: Final = {name: why for why, names in _WHY.items() for name in names}
