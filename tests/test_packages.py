"""What ``pip install`` puts in place: every package and every file that belongs to one."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest
from places import ROOT

FOLDERS = {"liquidator_core": "liquidator_core", "integrations": "liquidator_integrations"}
FOLDERS["strategies"] = "liquidator_strategies"
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]


def tracked() -> list[str]:
    """The files under the packages' folders that git knows, by the paths that they are installed at."""
    listed = subprocess.run(["git", "ls-files", *FOLDERS], cwd=ROOT, capture_output=True, text=True, check=False)
    if not listed.stdout:
        pytest.skip("not a git checkout")
    return ["/".join([FOLDERS[top], rest]) for top, rest in (line.split("/", 1) for line in listed.stdout.splitlines())]


def test_every_folder_with_modules_is_listed():
    folders = {path.rpartition("/")[0].replace("/", ".") for path in tracked() if path.endswith(".py")}
    assert sorted(folders) == sorted(SETUPTOOLS["packages"])


@pytest.mark.slow
def test_a_wheel_holds_every_file(tmp_path):
    expected = set(tracked())
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():  # a copy: setuptools leaves a folder behind, and would pack what lies in it
        copy = tmp_path / "checkout" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy, follow_symlinks=False)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), "./checkout"]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == expected
