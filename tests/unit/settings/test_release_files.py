"""The release files of k3s.airGap: which are uploaded, and which are refused."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from k3sgpu import settings as s
from k3sgpu.settings.models.k3s import UPLOADED_RELEASES
from tests.data.stack_files import REMOVE, the_problem, with_

VERSION = "v1.36.2+k3s1"
AIR_GAP = {"k3s/mirror": REMOVE, "k3s/airGap": "releases"}
IMAGES = "k3s-airgap-images-amd64.tar.zst"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A release for amd64; each file contains its own name, and the checksum list includes images."""
    folder = tmp_path / "releases" / VERSION
    folder.mkdir(parents=True)
    for name in ("k3s", "install.sh"):
        (folder / name).write_text(name)
    listed = "".join(f"{sha256(name)}  {name}\n" for name in (IMAGES, "k3s"))
    (folder / "sha256sum-amd64.txt").write_text(listed)
    return folder


def resolved(folder: Path, **k3s: Any) -> s.ReleaseFiles:
    changes = {**AIR_GAP, **{f"k3s/{key}": value for key, value in k3s.items()}}
    return s.resolve_release_files(s.parse(with_(changes)), folder)


def refused(folder: Path, **k3s: Any) -> list[s.Problem]:
    with pytest.raises(s.SettingsError) as refused:
        resolved(folder, **k3s)
    assert all(problem.where == "k3s.airGap" for problem in refused.value.problems)
    return list(refused.value.problems)


def test_without_air_gap_there_are_no_release_files(tmp_path: Path):
    assert s.resolve_release_files(s.parse(with_({})), tmp_path / "nowhere") == {}


def test_mirror_of_air_gapped_hosts_is_the_upload_folder():
    k3s = s.parse(with_(AIR_GAP)).k3s
    assert (
        k3s.mirror == UPLOADED_RELEASES
        and k3s.install_script_url == f"{UPLOADED_RELEASES}/{VERSION}/install.sh"
    )


def test_release_files_have_their_sha256(tmp_path: Path, release: Path):
    plain = {name: sha256(name) for name in ("k3s", "install.sh")}
    sums = {"sha256sum-amd64.txt": sha256((release / "sha256sum-amd64.txt").read_text())}
    assert resolved(tmp_path) == {"amd64": plain | sums}
    assert resolved(tmp_path, binarySha256={"amd64": sha256("k3s")}) == {"amd64": plain}
    (release / IMAGES).write_text(IMAGES)
    images = {IMAGES: sha256(IMAGES)}
    # Archives are always checked against the list, so it comes with them.
    assert resolved(tmp_path, binarySha256={"amd64": sha256("k3s")}) == {"amd64": plain | sums | images}
    (release / "k3s-arm64").write_text("k3s-arm64")
    both = resolved(tmp_path, binarySha256={"amd64": sha256("k3s"), "arm64": sha256("k3s-arm64")})
    assert both["arm64"] == {name: sha256(name) for name in ("k3s-arm64", "install.sh")}


def test_every_missing_release_file_is_named(tmp_path: Path, release: Path):
    for file in release.iterdir():
        file.unlink()
    found = [problem.found for problem in refused(tmp_path)]
    assert found == [
        f"{release / name}: No such file or directory"
        for name in ("install.sh", "sha256sum-amd64.txt", "k3s")
    ]
    assert "releases/tag/v1.36.2+k3s1" in refused(tmp_path)[0].remedy


@pytest.mark.parametrize(
    ("file", "pins", "by"),
    [
        ("k3s", {}, "sha256sum-amd64.txt says"),
        ("k3s", {"binarySha256": {"amd64": sha256("k3s")}}, "k3s.binarySha256.amd64 says"),
        ("install.sh", {"installScriptSha256": sha256("install.sh")}, "k3s.installScriptSha256 says"),
        (IMAGES, {}, "sha256sum-amd64.txt says"),
    ],
)
def test_release_file_with_wrong_sha256_is_refused(
    tmp_path: Path, release: Path, file: str, pins: dict[str, Any], by: str
):
    (release / file).write_text("something else")
    (problem,) = refused(tmp_path, **pins)
    assert problem.found == f"{release / file} has sha256 {sha256('something else')}"
    assert problem.expected.startswith(sha256(file)) and by in problem.expected


def test_image_archive_missing_in_checksum_list_is_refused(tmp_path: Path, release: Path):
    (release / "k3s-airgap-images-amd64.tar").write_text("mine")
    (problem,) = refused(tmp_path)
    assert "sha256sum-amd64.txt names" in problem.expected


def test_air_gap_refuses_a_url():
    assert the_problem({**AIR_GAP, "k3s/airGap": "file:///opt/k3s"}).where == "k3s.airGap"
