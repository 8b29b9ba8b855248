"""
The package as a user gets it: a wheel is built and installed, and the plugin is found from any folder.

Building asks pip for setuptools. Where pip can't get it, for lack of a network, the tests of the wheel are skipped.
"""

import ast
import importlib.metadata
import shutil
import subprocess
import sys
import tempfile
import zipfile
from email.message import Message
from email.parser import HeaderParser
from functools import cache
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from smtpgw.version import VERSION

ROOT = Path(__file__).resolve().parent.parent

PLUGIN = "twisted/plugins/smtpgw_plugin.py"

DISTRIBUTIONS = {
    "argon2": "argon2-cffi",
    "OpenSSL": "pyopenssl",
    "dns": "dnspython",
    "service_identity": "service-identity",
    "zope": "zope.interface",
}
"""Where the name of the distribution is not that of the module."""

_WITHOUT_INDEX = ("No matching distribution", "Could not find a version", "Connection", "No module named pip")


def run(*command: str, cwd: Path | str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, its output kept."""
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)


@cache
def scratch() -> Path:
    """A folder for what is built once for all tests; trial's own folder is current when it is made."""
    return Path(tempfile.mkdtemp(prefix="packaging", dir=Path.cwd()))


@cache
def build() -> tuple[Path | None, str]:
    """
    Build the wheel from a copy of the tree, so that nothing is left in it.

    :returns: the wheel, or ``None`` with the reason.
    """
    copy = scratch() / "tree"
    ignore = shutil.ignore_patterns("__pycache__", "dropin.cache", ".*cache")
    for name in ("smtpgw", "twisted", "tests", "benchmarks"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignore)
    for name in ("setup.py", "setup.cfg", "README.rst", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, copy / name)
    made = run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--use-pep517",
        "--wheel-dir",
        str(scratch()),
        ".",
        cwd=copy,
    )
    if made.returncode:
        return None, made.stderr.strip()
    (wheel,) = scratch().glob("*.whl")
    return wheel, ""


def wheel() -> zipfile.ZipFile:
    """The wheel, open."""
    path, reason = build()
    if path is None:
        if any(text in reason for text in _WITHOUT_INDEX):
            raise SkipTest(f"pip can't get setuptools: {reason.splitlines()[-1]}")
        raise AssertionError(reason)
    return zipfile.ZipFile(path)


def metadata() -> Message:
    """The wheel's METADATA."""
    with wheel() as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return HeaderParser().parsestr(archive.read(name).decode("utf-8"))


class WheelTests(SynchronousTestCase):
    """What is in the wheel, and what is not."""

    def test_plugin(self) -> None:
        """The plugin is in it, and nothing that would overwrite a file of Twisted's."""
        with wheel() as archive:
            names = archive.namelist()
        self.assertEqual([PLUGIN], [name for name in names if name.startswith("twisted/")])

    def test_whole_package(self) -> None:
        """Every module of the package is in it, and the marker that it is typed."""
        with wheel() as archive:
            names = set(archive.namelist())
        copied = scratch() / "tree"
        ours = {str(path.relative_to(copied)) for path in (copied / "smtpgw").rglob("*.py")}
        self.assertEqual(set(), ours - names)
        self.assertIn("smtpgw/py.typed", names)

    def test_nothing_else(self) -> None:
        """No tests, no benchmarks, no caches, no settings of tools."""
        with wheel() as archive:
            names = archive.namelist()
        tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
        self.assertEqual({"smtpgw", "twisted"}, tops)
        self.assertEqual([], [name for name in names if name.endswith((".toml", ".cache", ".pyc"))])

    def test_version(self) -> None:
        """The version comes from the module, without the package being imported for it."""
        self.assertEqual(VERSION, metadata()["Version"])

    def test_dependencies(self) -> None:
        """Whatever the package imports is declared, so that a plain ``pip install`` is enough."""
        declared = {
            text.split(";")[0].split("[")[0].split(">")[0].split("=")[0].split("<")[0].strip().lower()
            for text in metadata().get_all("Requires-Dist", [])
            if "extra ==" not in text
        }
        used: set[str] = set()
        for path in (ROOT / "smtpgw").rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    used.update(alias.name.split(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    used.add(node.module.split(".")[0])
        foreign = used - set(sys.stdlib_module_names) - {"smtpgw"}
        self.assertEqual(set(), {DISTRIBUTIONS.get(name, name).lower() for name in foreign} - declared)

    def test_command(self) -> None:
        """The ``smtpgw`` command is among the scripts."""
        with wheel() as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
            self.assertIn("smtpgw = smtpgw.cli.main:main", archive.read(name).decode("utf-8"))


class InstalledTests(SynchronousTestCase):
    """What works after ``pip install``, from a folder that has nothing to do with the project."""

    def setUp(self) -> None:
        """An empty folder."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def test_editable(self) -> None:
        """``twist`` knows smtpgw wherever it is called, when the project is installed as it is here."""
        try:
            importlib.metadata.version("smtpgw")
        except importlib.metadata.PackageNotFoundError:
            raise SkipTest("smtpgw is not installed in this environment") from None
        # -I: neither the current folder nor PYTHONPATH may be what makes it work.
        result = run(sys.executable, "-I", "-m", "twisted", "--help", cwd=self.folder)
        self.assertIn("smtpgw", result.stdout + result.stderr)

    def test_wheel(self) -> None:
        """The wheel alone, in a new environment: twistd finds the plugin there, and the command starts."""
        with wheel() as archive:
            path = archive.filename or ""
        environment = self.folder / "environment"
        made = run(sys.executable, "-m", "venv", "--without-pip", str(environment), cwd=self.folder)
        if made.returncode:
            raise SkipTest(f"no new environment can be made here: {made.stdout}{made.stderr}")
        python = str(environment / "bin" / "python")
        purelib = Path(
            run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=self.folder).stdout.strip()
        )
        pip = (sys.executable, "-m", "pip", "--python", python)
        installed = run(*pip, "install", "--quiet", "--no-deps", "--no-index", path, cwd=self.folder)
        self.assertEqual(0, installed.returncode, installed.stderr)
        # The dependencies are those of this environment, read from where they are. Twisted's folder stands there.
        twisted_home = run(sys.executable, "-I", "-c", "import twisted; print(twisted.__path__[0])", cwd=self.folder)
        (purelib / "dependencies.pth").write_text(f"{Path(twisted_home.stdout.strip()).parent}\n", encoding="utf-8")
        code = (
            "from twisted.application.service import IServiceMaker\n"
            "from twisted.plugin import getPlugins\n"
            "print([maker.tapname for maker in getPlugins(IServiceMaker) if maker.tapname == 'smtpgw'])\n"
            "import smtpgw.version; print(smtpgw.version.__file__)\n"
        )
        found = run(python, "-I", "-c", code, cwd=self.folder)
        self.assertEqual(
            ["['smtpgw']", str(purelib / "smtpgw" / "version.py")], found.stdout.splitlines(), found.stderr
        )
        command = run(str(environment / "bin" / "smtpgw"), "--help", cwd=self.folder)
        self.assertEqual(0, command.returncode, command.stderr)
