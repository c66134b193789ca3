"""TPRs as people paste and upload them, and what is said when they are not."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import EvenlyError
from core.experiment.tpr_file import LARGEST, parse

PETS = ("cat", "dog", "car")
DIGITS = tuple("0123")


@pytest.mark.parametrize(
    "text",
    [
        "0.6\n0.7\n0.95",
        "0.6,0.7,0.95",
        "0.6, 0.7,\n0.95",
        "0.6;0.7;0.95",
        "0.6\t0.7\t0.95",
        "60%\n70 %\n95%",
        "\n0.6\r\n\r\n0.7\r\n0.95\r\n",
        "[0.6, 0.7, 0.95]",
        "\ufeff0.6\n0.7\n0.95",
        "# from run 3\n0.6\n.7\n9.5e-1",
        "# TPRs of run 3; validation\n0.6,0.7,0.95",
        "\n  # run\t3\r\nclass,tpr\r\ncat,0.6\r\n# next; the dog\r\ndog,0.7\r\ncar,0.95\r\n",
        '# of run 3, "the best\n0.6;0.7;0.95',
        '"# run 3; validation",\ncat,0.6\ndog,0.7\ncar,0.95',
        "# printed by numpy\n[0.6 0.7 0.95]",
        "# printed by numpy\n0.6 0.7\n# and more\n0.95",
        "tpr\n0.6\n0.7\n0.95",
        b"0.6\n0.7\n0.95",
        b"\xef\xbb\xbf0.6,0.7,0.95",
        "cat,0.6\ndog,0.7\ncar,0.95",
        "car,95%\ncat,60%\ndog,70%",
        "class,tpr\ndog,0.7\ncar,0.95\ncat,0.6",
        "TPR;Class\n0.7;dog\n0.6;cat\n0.95;car",
        '"cat","0.6"\n"dog","0.7"\n"car","0.95"',
        "name,recall,colour\ncat,0.6,red\ndog,0.7,\ncar,0.95,blue",
    ],
)
def test_ways_to_write_three_tprs(text):
    tpr, support = parse(text, PETS)
    np.testing.assert_allclose(tpr, [0.6, 0.7, 0.95], rtol=1e-15)
    assert support is None


def test_support_comes_along_in_the_order_of_the_classes():
    for text in ("class,tpr,support\ndog,0.7,20\ncar,0.95,30\ncat,0.6,10", "dog,0.7,20\ncar,0.95,30\ncat,0.6,10"):
        tpr, support = parse(text, PETS)
        assert tpr.tolist() == [0.6, 0.7, 0.95]
        assert support.tolist() == [10, 20, 30]


def test_our_own_export_reads_back():
    """Many columns, and a name that the export guards with an apostrophe."""
    text = "class,support,true_positives,predicted,tpr,tpr_low,tpr_high,weight\r\n'-cat,10,6,8,0.6,0.3,0.8,1.2\r\ndog,0,0,1,,,,\r\n"
    tpr, support = parse(text, ("-cat", "dog"))
    assert tpr[0] == 0.6
    assert math.isnan(tpr[1])
    assert support.tolist() == [10, 0]


def test_undefined_is_nan():
    assert np.isnan(parse("0.5\nnan\n0.7", 3)[0]).tolist() == [False, True, False]


def test_classes_named_by_numbers():
    assert parse("0.6,0.7,0.8,0.9", DIGITS)[0].tolist() == [0.6, 0.7, 0.8, 0.9]
    assert parse("3,0.9\n1,0.7\n0,0.6\n2,0.8", DIGITS)[0].tolist() == [0.6, 0.7, 0.8, 0.9]
    assert parse("0,1\n1,0", DIGITS)[0].tolist() == [0, 1, 1, 0]  # as many cells as classes: a list
    with pytest.raises(EvenlyError, match="no TPR for class '3'"):
        parse("1,0.7\n0,0.6\n2,0.8", DIGITS)


def test_without_names_the_order_stays():
    assert parse("b,0.2\na,0.1", 2)[0].tolist() == [0.2, 0.1]
    assert parse("0.2\n0.1")[0].tolist() == [0.2, 0.1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.6\n0.7\nabc", "line 3: 'abc' is not a number"),
        ("0.6,0.7,abc", "line 1: 'abc' is not a number"),
        ("cat,0.6\ndog,abc\ncar,1", "line 2: 'abc' is not a number"),
        ("# run 3; validation\n\n# of 10\n0.6,0.7,abc", "line 4: 'abc' is not a number"),
        ("# run 3\n0.6 0.7\n# more\n1.5", r"line 4: 1\.5 is outside"),
        ("# run 3\n[0.6,\nabc,1", "line 3: 'abc' is not a number"),
        ("0.6\n\n1.2\n0.1", r"line 3: 1\.2 is outside \[0, 1\]"),
        ("95.6\n70\n60", r"line 1: 95\.6 is outside \[0, 1\]; write percentages with a % sign"),
        ("120%\n1\n1", "line 1: 120% is outside"),
        ("0.5\n-0.1\n1", r"line 2: -0\.1 is outside"),
        ("0.5\ninf\n1", "line 2: inf is outside"),
        ("0.5\n1_0\n1", "line 2: '1_0' is not a number"),
        ("0.5\n0.6", "2 TPRs given, expected 3, one per class"),
        ("0.5", "1 TPR given, expected 3"),
        ("0.5\n0.6\n0.7\n0.8", "4 TPRs given, expected 3"),
        ("cat,0.6\ncow,0.7\ncar,1", "line 2: unknown class 'cow'; known: 'cat', 'dog' and 'car'"),
        ("cat,0.6\ncat,0.7\ncar,1", "line 2: class 'cat' is given twice, first in line 1"),
        ("cat,0.6\ncar,1", "no TPR for class 'dog'; write nan"),
        ("class,tpr\ncat\ndog,1\ncar,1", "line 2: 1 value, expected at least 2"),
        ("cat,0.6,-3\ndog,0.7,1\ncar,1,1", "line 1: support -3"),
        ("class,tpr\n", "no TPR for classes 'cat', 'dog' and 'car'"),
        ("tpr\n", "0 TPRs given, expected 3"),
        ("name,score\ncat,0.5\ndog,0.5\ncar,0.5", "line 1: 'score' is not a number"),
        ("", "no TPRs found"),
        ("  \n,,\n# nothing", "no TPRs found"),
        (b"", "no TPRs found"),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "not plain text"),
        ("0.5\n0.\x006", "not plain text"),
        ("0.5\n" * 300_000, "1,200,000 bytes, expected at most 1,000,000"),
        (b"1" * (LARGEST + 1), "expected at most"),
    ],
)
def test_refusals_name_the_line_and_the_value(text, message):
    with pytest.raises(EvenlyError, match=message) as caught:
        parse(text, PETS)
    assert "\n" not in str(caught.value)


def test_a_message_does_not_repeat_a_whole_file():
    with pytest.raises(EvenlyError) as caught:
        parse("0.5\n" + "x" * 100_000, PETS)
    assert len(str(caught.value)) < 100
    with pytest.raises(EvenlyError, match="line 1: field larger"):
        parse('"' + "x" * 200_000, PETS)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=50))
def test_what_repr_writes_reads_back_exactly(values):
    assert parse("\n".join(map(repr, values)), len(values))[0].tolist() == values


@given(st.one_of(st.text(max_size=200), st.binary(max_size=200)))
def test_anything_gives_numbers_or_a_clear_error(given):
    try:
        tpr, _ = parse(given, PETS)
    except EvenlyError:
        return
    assert tpr.shape == (3,)
    assert ((tpr >= 0) & (tpr <= 1) | np.isnan(tpr)).all()
