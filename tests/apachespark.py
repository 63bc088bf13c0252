"""Apache Spark itself for tests, where Java is: `make test` puts it into a folder of .venv.

The distribution shares its package's name with the thin client, which is what users have, so it
never goes where Python looks for packages: only its programs and jars are taken out of it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

_HOME = Path(sys.prefix) / "spark"
_OLDEST_JAVA = 17
_PARTS = ("bin", "jars")


def home() -> Path:
    """The folder of a Spark that can be started; raises LookupError with what is missing."""
    if (java := _java()) < _OLDEST_JAVA:
        found = f"Java {java} is here" if java else "no Java is here"
        raise LookupError(f"Apache Spark needs Java {_OLDEST_JAVA} or newer, and {found}")
    found = Path(os.environ.get("SPARK_HOME", _HOME))
    if not (found / "bin" / "spark-submit").exists():
        raise LookupError(f"no Apache Spark is in {found}: `make test` downloads it, once")
    return found


def _java() -> int:
    """The version of the Java that Spark's programs would start; 0 where there is none."""
    at = os.environ.get("JAVA_HOME")
    java = shutil.which(Path(at) / "bin" / "java" if at else "java")
    if java is None:
        return 0
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    number = re.search(r'version "(?:1\.)?(\d+)', said.stderr)
    return int(number[1]) if number else 0


def _install() -> None:
    """Download the Spark of the client's version, if it is not there yet; raises OSError too."""
    wanted = version("pyspark-client")
    if [*_HOME.glob(f"jars/spark-connect_*-{wanted}.jar")]:
        return
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--retries", "2"]
    # Beside its place, so that it gets there by one step, or not at all.
    with tempfile.TemporaryDirectory(dir=_HOME.parent) as name:
        folder = Path(name)
        subprocess.run([*pip, "--dest", name, f"pyspark=={wanted}"], check=True)
        (archive,) = folder.glob("pyspark-*.tar.gz")
        with tarfile.open(archive) as packed:
            for member in packed:
                _, _, inside = member.name.partition("/deps/")
                if inside.partition("/")[0] in _PARTS:
                    member.name = inside
                    packed.extract(member, folder / "spark", filter="data")
        shutil.rmtree(_HOME, ignore_errors=True)
        (folder / "spark").rename(_HOME)


if __name__ == "__main__":
    try:
        if "SPARK_HOME" not in os.environ and _java() >= _OLDEST_JAVA:
            _install()
        home()
    except (LookupError, OSError, tarfile.TarError, subprocess.CalledProcessError) as error:
        print(f"tests of Apache Spark are skipped: {error}", file=sys.stderr)
        sys.exit(1)
