"""What the toolchain makes of built programs: image archives, and the folder that machines see."""

import hashlib
import json
import shutil
import tarfile
from pathlib import Path

import pytest
import yaml

from rehearsal.process import RehearsalError
from rehearsal.toolchain import archives, golang, images, toolbox
from rehearsal.toolchain.archives import Image


@pytest.fixture
def image(tmp_path: Path) -> Image:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    return Image(
        ("example.org/one:1", "example.org/two:1"),
        {"/usr/bin/program": program, "/usr/bin/script": "#!/bin/sh\n"},
        entry_point=("program",),
        links={"/bin": "usr/bin"},
        folders=("/tmp",),
        environment={"PATH": "/usr/bin"},
        user="65534:65534",
    )


def read(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.extractfile(name)
    assert member is not None
    return member.read()


def test_archive_names_references_and_its_layer(image: Image, tmp_path: Path):
    archives.write(image, tmp_path / "image.tar")
    with tarfile.open(tmp_path / "image.tar") as archive:
        (manifest,) = json.loads(read(archive, "manifest.json"))
        config = json.loads(read(archive, manifest["Config"]))
        layer = read(archive, manifest["Layers"][0])
    assert manifest["RepoTags"] == ["example.org/one:1", "example.org/two:1"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert config["config"]["Env"] == ["PATH=/usr/bin"]
    assert config["config"]["User"] == "65534:65534"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_layer_has_folders_before_their_content(image: Image, tmp_path: Path):
    path = tmp_path / "layer.tar"
    with path.open("wb") as stream:
        archives.write_layer(image, stream)
    with tarfile.open(path) as layer:
        found = {member.name: (member.type, member.mode, member.linkname) for member in layer.getmembers()}
    assert list(found) == ["bin", "tmp", "usr", "usr/bin", "usr/bin/program", "usr/bin/script"]
    assert found["bin"] == (tarfile.SYMTYPE, 0o777, "usr/bin")
    assert found["tmp"] == (tarfile.DIRTYPE, 0o1777, "")
    assert found["usr/bin/script"] == (tarfile.REGTYPE, 0o755, "")


def test_same_files_give_the_same_archive(image: Image, tmp_path: Path):
    for name in ("a.tar", "b.tar"):
        archives.write(image, tmp_path / name)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


@pytest.mark.skipif(not shutil.which("readelf"), reason="no binutils")
def test_missing_library_is_named(tmp_path: Path):
    with pytest.raises(RehearsalError, match=r"needs lib\S+, which is not in"):
        images.libraries_of(Path("/bin/sh"), tmp_path)


def test_machines_see_one_kubernetes_under_its_names(tmp_path: Path):
    built, place = tmp_path / "built", tmp_path / "place"
    for folder in (built, place):
        folder.mkdir()
    for name in ("kubernetes", "containerd", "bridge", "nvidia-ctk", "pause.tar", "k3s"):
        (built / name).write_text(name)
    toolbox.assemble(place, [built])
    inodes = {(place / "bin" / name).stat().st_ino for name in golang.KUBERNETES_NAMES}
    assert inodes == {(built / "kubernetes").stat().st_ino}
    found = {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}
    assert {"bin/containerd", "cni/bridge", "toolkit/nvidia-ctk", "images/pause.tar"} <= found
    assert {f"release/{version}/install.sh" for version in golang.K3S_RELEASES} <= found


def versions(module: str) -> dict[str, str]:
    """The versions that a module of simulators/go requires, but not those that it replaces."""
    lines = (golang.GO_FOLDER / module / "go.mod").read_text().splitlines()
    found = [line.split() for line in lines if line.startswith("\t") and "=>" not in line]
    return {words[0]: words[1] for words in found if words[1] != "v0.0.0"}


@pytest.mark.parametrize("program", [golang.ETCD, golang.KWOK], ids=lambda program: program.module)
def test_modules_that_share_compiled_packages_agree(program: golang.Program):
    assert program.shares_with
    shared, own = versions(program.shares_with.module), versions(program.module)
    assert {name: own[name] for name in own.keys() & shared} == {
        name: shared[name] for name in own.keys() & shared
    }


def test_images_have_the_references_of_the_chart():
    chart = golang.REHEARSAL / "simulators" / "chart"
    values = yaml.safe_load((chart / "values.yaml").read_text())
    own = yaml.safe_load((chart / "Chart.yaml").read_text())["appVersion"]
    names = ("operator", "validator", "devicePlugin", "gfd", "dcgm", "dcgmExporter", "migManager")
    parts = [values[name] for name in names]
    wanted = {f"{part['repository']}/{part['image']}:{part.get('version', own)}" for part in parts}
    assert wanted == {*images.GPU_OPERATOR, *images.DEVICE_PLUGIN}
    assert images.NODE_FEATURE_DISCOVERY[0] in (chart / "templates" / "_helpers.tpl").read_text()
