"""The host in C++."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.hosts.contract import HostContract, assert_refused
from tests.hosts.host import ROOT, Host, library
from tests.hosts.hostility import HostHostility
from tests.hosts.strictness import HostStrictness
from tests.runtime.tiny import TINY

HEADERS = {"nlohmann/json.hpp": "nlohmann-json3-dev", "openssl/evp.h": "libssl-dev"}


def _missing() -> str | None:
    """What is to be installed for the host to be built, or None."""
    compiler = shutil.which("g++")
    if compiler is None:
        return "g++ is missing: install g++, nlohmann-json3-dev and libssl-dev"
    for header, package in HEADERS.items():
        ask = [compiler, "-E", "-x", "c++", "-o", "/dev/null", "-"]
        if subprocess.run(ask, input=f"#include <{header}>", text=True, capture_output=True, check=False).returncode:
            return f"{header} is missing: install {package}"
    return None


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """The host, compiled as its README says, with every warning an error."""
    if (missing := _missing()) is not None:
        pytest.skip(missing)
    program = tmp_path_factory.mktemp("cpp") / "host"
    build = ["g++", "-std=c++17", "-O0", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "host.cpp", "-lcrypto", "-ldl"]
    done = subprocess.run(
        [*build, "-o", str(program)], cwd=ROOT / "hosts" / "cpp", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return Host("cpp", (str(program), "--library", str(library())))


class TestCpp(HostContract, HostStrictness, HostHostility):
    def test_a_library_that_is_not_onnxruntime_is_named(self, host: Host, golden: object) -> None:
        program = Host(host.name, host.command[:1])
        assert callable(golden)
        for wrong in ("no-such-library.so", "libc.so.6"):
            ran = program(TINY, "--library", wrong, "--golden", golden(TINY))
            assert_refused(ran)
            assert "--library" in ran.err


def test_the_table_of_functions_is_that_of_the_header() -> None:
    """Where a header of onnxruntime is installed (Debian's libonnxruntime-dev), each place is compared with it."""
    header = next(iter(sorted(Path("/usr/include").glob("**/onnxruntime_c_api.h"))), None)
    compiler = shutil.which("g++")
    if header is None or compiler is None:
        pytest.skip("onnxruntime_c_api.h is missing: install libonnxruntime-dev and g++")
    source = "\n".join(
        f'static_assert(offsetof(OrtApi, {name}) == sizeof(void*) * {place}, "{name}");' for name, place in _places()
    )
    done = subprocess.run(
        [compiler, "-fsyntax-only", "-x", "c++", "-"],
        input=f'#include <cstddef>\n#include "{header}"\n{source}\n',
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _places() -> list[tuple[str, int]]:
    """The functions that the host calls: their names in the header, and their places in the table."""
    text = (ROOT / "hosts" / "cpp" / "onnxruntime.hpp").read_text(encoding="utf-8")
    entries = text.partition("enum Place")[2].partition("{")[2].partition("};")[0].split(",")
    pairs = [entry.strip().split(" = ") for entry in entries if " = " in entry]
    special = {"CREATE_TENSOR_WITH_DATA": "CreateTensorWithDataAsOrtValue"}
    return [
        (special.get(name) or "".join(word.capitalize() for word in name.split("_")), int(place))
        for name, place in pairs
    ]
