"""What `kpio bench storage` makes of the two guests' lines."""
from kpio.bench import storage

KPIO = {"mount": {"name": "mount", "unit": "insns", "value": 50, "min": 40, "max": 60, "n": 9, "requests": 9.5, "interrupts": 8.0}}
LINUX = {"disk_mount": {"name": "disk_mount", "ns": 200.0, "requests": 8.0, "interrupts": 7.25}}


def test_a_line_has_both_sides():
    line, = storage.results(KPIO, LINUX)
    assert (line["name"], line["value"], line["linux"], line["ratio"]) == ("mount", 50, 200.0, 0.25)
    assert (line["requests"], line["linux_requests"]) == (9.5, 8.0)
    assert (line["interrupts"], line["linux_interrupts"]) == (8.0, 7.25)


def test_without_linux_there_is_no_ratio():
    line, = storage.results(KPIO, None)
    assert "ratio" not in line and "linux" not in line and line["requests"] == 9.5


def test_the_table_shows_what_there_is():
    heading, row = storage.table(storage.results(KPIO, LINUX)).splitlines()
    assert heading.split() == ["insns", "KPIO", "Linux", "KPIO/Linux", "reach", "requests", "Linux", "interrupts", "Linux", "what"]
    assert row.split()[:10] == ["mount", "50", "200", "0.25", "0.3", "reached", "9.50", "8.00", "8.00", "7.25"]
    assert "9.50" in storage.table(storage.results(KPIO, None))
