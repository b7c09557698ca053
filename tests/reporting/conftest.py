"""Fixtures of the report's tests."""

from synthetic_study import make_study, page, shared_study

__all__ = [
    "make_study",
    "page",
    "shared_study",
]
