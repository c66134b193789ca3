"""`of(finding)`, the text of any finding; the other files of this package register the sentences."""

from __future__ import annotations

from collections.abc import Iterable
from functools import singledispatch

from core.findings import Finding


def lines(findings: Iterable[Finding]) -> list[str]:
    """The sentences of several findings, one each."""
    return [of(finding) for finding in findings]


@singledispatch
def of(finding: Finding) -> str:
    """The text of a finding, one or more sentences. A finding without a text raises TypeError."""
    raise TypeError(f"{type(finding).__name__} has no words; give reporting.text a function for it")
