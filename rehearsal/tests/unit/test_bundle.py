"""The bundle: what is packed can be unpacked as run.sh does it."""

import subprocess
from pathlib import Path, PurePosixPath

from rehearsal.proof import bundle
from rehearsal.toolchain import toolbox


def test_pieces_hold_every_file_once(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(bundle, "PIECE_BYTES", 1000)
    source, scratch = tmp_path / "source", tmp_path / "scratch"
    (source / "bin").mkdir(parents=True)
    scratch.mkdir()
    for name in ("one", "two"):
        (source / "bin" / name).write_bytes(b"program" * 1000)
        (source / "bin" / name).chmod(0o755)
    (source / "link").symlink_to("bin/one")
    (source / "__pycache__").mkdir()
    part = bundle.Part("part", [(source, PurePosixPath("box"))], preset=0)

    bundle.write_archive(part, scratch / "part.tar.xz")
    pieces = bundle.split([scratch / "part.tar.xz"], tmp_path)

    assert [piece.name for piece in pieces][:2] == ["proof.00", "proof.01"]
    script = "cat proof.?? | tar -x && mkdir to && tar -xJf part.tar.xz -C to --numeric-owner"
    subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True)
    box = tmp_path / "to/box"
    assert (box / "bin/one").samefile(box / "bin/two")
    assert (box / "link").read_bytes() == b"program" * 1000
    assert (box / "bin/two").stat().st_mode & 0o777 == 0o755
    assert not (box / "__pycache__").exists()


def test_tools_of_a_bundle_are_read_from_its_file(tmp_path: Path):
    places = bundle.places_of_tools()
    bundle.write_tools(tmp_path / "tools.json", "built from its module")

    tools = toolbox.read(tmp_path / "tools.json")

    assert tools.pulumi == Path("/opt/tools/pulumi")
    assert tools.kubectl == Path("/opt/tools/standin/bin/kubectl")
    assert set(places) == {"pulumi", "helm", "rootfs", "standin"}
