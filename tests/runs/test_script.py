import pytest

from hf_strategies.errors import UserError
from hf_strategies.runs.script import script


@script
def failing(argv=None):
    raise UserError("first line\nsecond line")


def test_a_users_mistake_ends_with_its_lines_and_exit_code_2(capsys):
    with pytest.raises(SystemExit) as ended:
        failing([])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: first line\nerror: second line\n"


def test_debug_keeps_the_traceback():
    with pytest.raises(UserError):
        failing(["--debug"])


def test_one_process_per_machine_speaks(capsys, monkeypatch):
    monkeypatch.setenv("RANK", "8")
    monkeypatch.setenv("LOCAL_RANK", "0")
    with pytest.raises(SystemExit):
        failing([])
    assert capsys.readouterr().err != ""
    monkeypatch.setenv("RANK", "9")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(SystemExit):
        failing([])
    assert capsys.readouterr().err == ""


def test_results_are_handed_through():
    assert script(lambda argv=None: argv)(["a"]) == ["a"]
