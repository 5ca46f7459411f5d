"""What the comparison of the type checkers' answers with the marked lines finds."""

from pathlib import Path

from .checking import compare


def test_a_missing_refusal_and_a_wrong_one_are_both_found(tmp_path: Path) -> None:
    file = tmp_path / "calls.py"
    file.write_text("right()\nwrong()  # error\nright()  \nwrong()  # error\n")
    assert compare([file], {(file, 2): ["no"], (file, 4): ["no"]}) == []
    assert compare([file], {(file, 2): ["no"]}) == ["calls.py:4: wrong()  # error\n    it is not refused"]
    assert compare([file], {(file, 1): ["a", "b"], (file, 2): ["no"], (file, 4): ["no"]}) == [
        "calls.py:1: right()\n    a; b"
    ]


def test_what_is_refused_in_another_file_is_a_problem(tmp_path: Path) -> None:
    assert compare([], {(tmp_path, 7): ["no"]}) == [f"{tmp_path}:7: ['no']"]
