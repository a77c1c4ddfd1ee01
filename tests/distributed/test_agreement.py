import pytest

from hf_strategies.distributed.agreement import decide_together
from hf_strategies.errors import UserError


def test_a_process_alone_decides_for_itself():
    assert decide_together(lambda: {"folder": "runs/a"}) == {"folder": "runs/a"}


@pytest.mark.parametrize("error", [UserError("no"), PermissionError("locked")])
def test_what_the_decision_raises_is_raised(error):
    def refuse():
        raise error

    with pytest.raises(type(error), match=str(error)):
        decide_together(refuse)
