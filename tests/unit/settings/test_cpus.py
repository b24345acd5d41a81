"""The default number of workers."""

import pytest

from stageport.settings import cpus


@pytest.fixture
def eight_cpus(monkeypatch):
    monkeypatch.setattr(cpus.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.parametrize(
    ("limit", "available"), [("max 100000", 8), ("150000 100000", 2), ("20000 100000", 1), ("junk", 8)]
)
def test_a_quota_of_cgroup_v2_counts(tmp_path, eight_cpus, limit, available):
    (tmp_path / "cpu.max").write_text(limit + "\n")
    assert cpus.available_cpus(cgroup=tmp_path) == available


@pytest.mark.parametrize(("limit", "available"), [("-1", 8), ("300000", 3)])
def test_a_quota_of_cgroup_v1_counts(tmp_path, eight_cpus, limit, available):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(limit)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert cpus.available_cpus(cgroup=tmp_path) == available


def test_there_are_never_more_than_four_workers(tmp_path, eight_cpus):
    assert cpus.default_workers(cgroup=tmp_path) == 4


def test_without_affinity_the_cpus_of_the_machine_count(tmp_path, monkeypatch):
    monkeypatch.delattr(cpus.os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(cpus.os, "cpu_count", lambda: 3)
    assert cpus.default_workers(cgroup=tmp_path) == 3
