from argparse import ArgumentTypeError

import pytest

from django_tasks_q.management.terminal import (
    ago,
    block,
    counted,
    line,
    name_list,
    pairs,
    printable,
    size,
    table,
    to_count,
    to_duration,
)
from django_tasks_q.monitoring.counts import Count, Precision


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x07\x08\x7f\x9b", "\\x07\\x08\\x7f\\x9b"),
        ("a\rb", "a\\rb"),
        ("right\u202eleft", "right\\u202eleft"),
        ("lone \ud800", "lone \\ud800"),
        ("Ünïcode 🐢 日本", "Ünïcode 🐢 日本"),
    ],
)
def test_control_characters_are_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert line(text) == shown


def test_line_breaks_stay_in_text_and_not_in_a_line() -> None:
    assert printable("a\nb") == "a\nb"
    assert line("a\nb\tc") == "a\\nb\\tc"


def test_a_block_cannot_be_left() -> None:
    assert block("one\n\ttwo\n\nthree\n") == "  one\n      two\n\n  three".replace("\n\n", "\n  \n")


def test_columns_are_aligned_also_with_wide_characters() -> None:
    text = table(("Name", ">Number"), [("a", 1), ("日本", 1_000), ("a\nb", "")])
    assert text.split("\n") == ["Name  Number", "a          1", "日本    1000", "a\\nb"]


def test_pairs_leave_out_what_is_empty() -> None:
    assert pairs([("A", 1), ("Longer", ""), ("Third", None), ("Fourth", 0)]) == "A       1\nFourth  0"


def test_a_time_that_is_not_known_is_left_out() -> None:
    assert [ago(None), ago(0.012), ago(725)] == ["", "12 ms", "12 min 5 s"]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (512, "512 B"), (49_152, "48.0 KiB"), (3 << 20, "3.0 MiB"), (1 << 41, "2,048.0 GiB")],
)
def test_sizes_have_a_unit(number: int, text: str) -> None:
    assert size(number) == text


def test_nouns_follow_their_number() -> None:
    assert [counted(0, "job"), counted(1, "job"), counted(1_204, "job")] == ["0 jobs", "1 job", "1,204 jobs"]
    assert counted(Count(1, Precision.ABOUT), "job") == "~1 jobs"


def test_names_are_told_apart() -> None:
    assert name_list(["a", "b c", "d,e", "\x1b"]) == "a, 'b c', d,e, '\\x1b'"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1.5", 1.5), ("30s", 30), ("30m", 1_800), ("12h", 43_200), ("7D", 604_800), (" 2 w ", 1_209_600)],
)
def test_durations(text: str, seconds: float) -> None:
    assert to_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "d", "-1d", "1y", "1d12h", "nan", "inf", "1e3", "٣d", "99999999999d", "1" * 400])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="is not a time such as"):
        to_duration(text)


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "x", "٣", "9" * 20])
def test_what_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="is not a whole number"):
        to_count(text)
    assert to_count("20") == 20
