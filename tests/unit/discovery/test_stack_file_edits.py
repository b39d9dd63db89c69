"""Additions to a stack file: everything else stays as its user wrote it."""

import pytest
import yaml
from ruamel.yaml.comments import CommentedMap

from k3sgpu.discovery.stack_file_edits import CannotAdd, add_entries

BLOCK = """\
# mine
config:
  pools:
    rtx:
      hosts:
        gpu-1: 10.0.0.21   # under the desk
        gpu-2: {address: 10.0.0.22,
                port: 2222}
      # two cards later
      gpu: {count: 1}

  # what runs
  workloads: {}
"""
IN_BRACES = "config:\n  pools: {rtx: {hosts: {gpu-1: 10.0.0.21}, gpu: {count: 1}}}   # all of it\n"
HOSTS = ("config", "pools", "rtx", "hosts")


def entry(name: str, value: object = "10.0.0.29") -> CommentedMap:
    entries = CommentedMap({name: value})
    entries.yaml_add_eol_comment("new", name, column=0)
    return entries


def test_a_host_stands_below_the_last_one() -> None:
    text = add_entries(BLOCK, HOSTS, entry("gpu-9"))
    new = "        gpu-9: 10.0.0.29 # new\n"
    assert text.replace(new, "") == BLOCK
    assert f"{new}      # two cards later" in text


def test_a_pool_and_a_section_stand_before_the_next_comment() -> None:
    text = add_entries(BLOCK, ("config", "pools"), entry("cpu", {"role": "agent"}))
    assert "      gpu: {count: 1}\n    cpu: # new\n      role: agent\n\n  # what runs\n" in text
    text = add_entries(BLOCK, ("config", "sharing", "profiles"), entry("t4", {}))
    assert text.startswith(BLOCK)
    assert yaml.safe_load(text)["config"]["sharing"] == {"profiles": {"t4": {}}}


def test_a_mapping_in_braces_stays_in_braces() -> None:
    text = add_entries(IN_BRACES, HOSTS, entry("gpu-9", {"address": "10.0.0.29", "port": 2222}))
    wanted = "{gpu-1: 10.0.0.21, gpu-9: {address: 10.0.0.29, port: 2222}}, gpu: {count: 1}}}   # all of it"
    assert wanted in text
    assert "workloads: {nvidia: 10.0.0.29}" in add_entries(BLOCK, ("config", "workloads"), entry("nvidia"))


def test_nothing_is_added_to_what_is_no_mapping() -> None:
    with pytest.raises(CannotAdd, match="hosts"):
        add_entries("config:\n  pools:\n    rtx:\n      hosts: [a]\n", HOSTS, entry("gpu-9"))
