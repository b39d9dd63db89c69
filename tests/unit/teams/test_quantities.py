import pytest

from k3sgpu.teams.quantities import count_quantity, cpu_quantity, memory_quantity


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (6, "6"), (1500, "1500"), (2000, "2k"), (3_000_000, "3M")]
)
def test_number_is_written_as_the_api_keeps_it(number: int, text: str):
    assert count_quantity(number) == text


@pytest.mark.parametrize(("millis", "text"), [(1, "1m"), (1500, "1500m"), (2000, "2")])
def test_cpu_is_written_as_the_api_keeps_it(millis: int, text: str):
    assert cpu_quantity(millis) == text


@pytest.mark.parametrize(
    ("mib", "text"), [(1000, "1000Mi"), (1024, "1Gi"), (1536, "1536Mi"), (1 << 20, "1Ti"), (3 << 20, "3Ti")]
)
def test_memory_is_written_as_the_api_keeps_it(mib: int, text: str):
    assert memory_quantity(mib) == text
