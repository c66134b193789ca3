"""Numbers and times as text; variances and spreads of TPRs near 100 %, small and not nothing, keep two significant digits."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from reporting import numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0128, "0.0128"),
        (0.001, "0.0010"),
        (0.000614, "0.00061"),
        (3.14e-5, "0.000031"),
        (3.1e-7, "3.1e-7"),
        (0.0, "0"),
        (None, "–"),
        (math.nan, "–"),
        (0.25, "0.2500"),
    ],
)
def test_a_variance_has_the_digits_it_needs(value, text):
    assert numbers.variance(value) == text


def test_the_command_line_has_the_same_points_with_a_hyphen():
    values = (0.04, -0.0123, -0.0001, None)
    assert [numbers.points(v) for v in values] == ["+4.0", "−1.2", "0.0", "–"]
    assert [numbers.signed_points(v) for v in values] == ["+4.0", "-1.2", "0.0", "–"]


def test_changes_of_a_variance_have_alike_decimals():
    assert numbers.variances((-0.0065, -0.0092, -0.0038)) == ["-0.0065", "-0.0092", "-0.0038"]
    assert numbers.variances((-1.2e-5, -3.1e-5, 7e-6)) == ["-0.000012", "-0.000031", "+0.000007"]
    assert numbers.variances((0.0, 0.0, 0.0)) == ["0.0000"] * 3
    assert numbers.variance_change(3.3e-5, 4.0e-5) == "+0.000007"


def test_an_interval_without_zero_never_reads_as_one_with_it():
    assert numbers.alike((-0.37, -0.72, -0.01), 1) == ["-0.37", "-0.72", "-0.01"]
    assert numbers.alike((0.2, 0.1, 0.3), 1) == ["+0.2", "+0.1", "+0.3"]
    assert numbers.alike((0.0, -0.4, 0.4), 1) == ["0.0", "-0.4", "+0.4"]


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0877, "8.8"), (0.133, "13.3"), (0.0056, "0.56"), (0.00056, "0.056"), (1e-7, "0.0000"), (0.0, "0.0")],
)
def test_a_spread_in_points(share, text):
    assert numbers.spread_points(share) == text


def test_a_mean_with_its_standard_deviation():
    assert numbers.variance_with_sd(0.0138, 0.0035) == "0.0138 ± 0.0035"
    assert numbers.variance_with_sd(3.1e-5, 4e-6) == "0.000031 ± 0.000004"


@pytest.mark.parametrize(("value", "text"), [(0.8321, "83.2 %"), (1.0, "100.0 %"), (None, "–"), (math.nan, "–")])
def test_percent(value, text):
    assert numbers.percent(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.663, "0.663"),
        (1.25, "1.25"),
        (12.5, "12.5"),
        (125.4, "125"),
        (9.999, "10.0"),
        (0.09999, "0.100"),
        (1234.5, "1234"),
        (0.00001, "1.00e-05"),
        (0.0, "0.00"),
    ],
)
def test_weights_have_three_digits(value, text):
    assert numbers.weight(value) == text


def test_differences_have_a_real_minus_sign():
    assert (numbers.points(0.04), numbers.points(-0.0123)) == ("+4.0", "−1.2")


def test_spread_is_the_root_of_the_variance_in_points():
    assert numbers.spread(0.0077) == "8.8 points"
    assert numbers.spread(0.000031) == "0.56 points"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "about 1 s left"),
        (43, "about 45 s left"),
        (130, "about 3 min left"),
        (7300, "about 2 h 10 min left"),
        (None, "estimating"),
    ],
)
def test_estimates_are_rounded_as_far_as_they_can_be_trusted(seconds, text):
    assert numbers.left(seconds) == text


def test_dates_are_relative():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert numbers.ago(now - timedelta(minutes=5), now) == "5 min ago"
    assert numbers.ago(now - timedelta(days=3), now) == "3 days ago"
    assert numbers.ago(None) == "–"
