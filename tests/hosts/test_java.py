"""The host in Java, with JNA and Jackson."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.hosts.contract import Golden, HostContract
from tests.hosts.host import ROOT, Host, library
from tests.hosts.hostility import HostHostility
from tests.hosts.strictness import HostStrictness
from tests.runtime.tiny import TINY

NAMES = ("jna", "jackson-core", "jackson-databind", "jackson-annotations")
JARS = [Path("/usr/share/java", f"{name}.jar") for name in NAMES]
SMALL = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""For runs of a second: no threads that optimise or collect."""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, golden: Golden) -> Host:
    """Built once, with an archive of its classes, since most of a short run is their loading."""
    javac, jar = shutil.which("javac"), shutil.which("jar")
    if javac is None or jar is None or not all(path.exists() for path in JARS):
        pytest.skip(
            "no Java compiler or libraries: apt-get install default-jdk-headless libjna-java libjackson2-databind-java"
        )
    made = tmp_path_factory.mktemp("java")
    sources = sorted(map(str, (ROOT / "hosts" / "java").glob("*.java")))
    libraries = os.pathsep.join(map(str, JARS))
    subprocess.run([javac, "-Xlint:all,-serial", "-Werror", "-cp", libraries, "-d", str(made), *sources], check=True)
    subprocess.run(
        [jar, "--create", "--file", "host.jar", *(path.name for path in made.glob("*.class"))], cwd=made, check=True
    )
    path = os.pathsep.join((str(made / "host.jar"), libraries))
    start = ("-cp", path, "Host", "--library", str(library()))
    first = [
        "java",
        *SMALL,
        f"-XX:ArchiveClassesAtExit={made / 'classes.jsa'}",
        *start,
        str(TINY),
        "--golden",
        str(golden(TINY)),
    ]
    subprocess.run(first, check=True, capture_output=True)
    return Host("java", ("java", *SMALL, f"-XX:SharedArchiveFile={made / 'classes.jsa'}", *start))


class TestJava(HostContract, HostStrictness, HostHostility):
    """What every host keeps."""

    def test_the_library_stays_open_whenever_memory_is_collected(self, host: Host, golden: Golden) -> None:
        often = Host("java", ("java", "-Xmn1m", "-Xmx64m", *host.command[1:]))
        ran = often(TINY, "--golden", golden(TINY), "--json")
        assert ran.code == 0, ran.out + ran.err
