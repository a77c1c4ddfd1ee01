import getpass
import platform
import socket
from pathlib import Path

import torch

from hf_strategies.reports.environment import cpu_model, describe_environment
from hf_strategies.version import __version__


def test_versions_are_those_that_run():
    environment = describe_environment()
    assert environment["Python"] == platform.python_version()
    assert environment["torch"] == torch.__version__
    assert environment["hf_strategies"] == __version__
    assert int(environment["CPU cores"]) >= 1


def test_it_does_not_say_whose_machine_it_is():
    values = list(describe_environment().values())
    assert not {socket.gethostname(), getpass.getuser()} & set(" ".join(values).split())
    assert not any(str(Path.home()) in value for value in values)


def test_the_processor_is_named_where_the_system_names_it(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel\t\t: 1\nmodel name\t: AMD EPYC 7763  \nmodel name\t: other\n")
    assert cpu_model(cpuinfo) == "AMD EPYC 7763"
    cpuinfo.write_text("processor\t: 0\nCPU architecture: 8\n")
    assert cpu_model(cpuinfo) == (platform.processor() or platform.machine())
