"""Dependencies run one way: between folders by their order, between files without a cycle."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import sources  # noqa: E402


def test_one_way():
    wrong = [f"{name} includes {target}" for name in sources.tracked(".c", ".h", ".S")
             for target in sources.includes(name) if not sources.allowed(name, target)]
    assert not wrong, "against the order of folders in tests/style/sources.py:\n" + "\n".join(wrong)


def test_includes_are_from_the_root():
    """`#include "x.h"` next to the file would hide which folder it comes from. Generated headers lie in gen/."""
    wrong = [f"{name}: {target}" for name in sources.tracked(".c", ".h", ".S") for target in sources.includes(name)
             if "/" not in target or (sources.layer(name) is not None and "/gen/" not in target
                                      and not (sources.ROOT / target).is_file())]
    assert not wrong, "\n".join(wrong)


def cycle_from(start, graph, finished):
    """A list of files that include each other in a ring, or None. Iterative: the path is the stack."""
    path, waiting = [start], [iter(graph.get(start, ()))]
    while path:
        for target in waiting[-1]:
            if target in path:
                return path[path.index(target):] + [target]
            if target in graph and target not in finished:
                path.append(target)
                waiting.append(iter(graph[target]))
                break
        else:
            finished.add(path.pop())
            waiting.pop()
    return None


def test_no_cycle():
    graph = {name: sources.includes(name) for name in sources.tracked(".h")}
    finished = set()
    for name in graph:
        found = name not in finished and cycle_from(name, graph, finished)
        assert not found, " -> ".join(found)


def test_cycle_is_found():
    graph = {"a.h": ["b.h"], "b.h": ["c.h"], "c.h": ["b.h"]}
    assert cycle_from("a.h", graph, set()) == ["b.h", "c.h", "b.h"]


def test_order_is_enforced():
    assert sources.allowed("kernel/mm/page.c", "lib/list.h")
    assert not sources.allowed("kernel/mm/page.c", "kernel/object/object.h")
    assert not sources.allowed("lib/list.c", "kernel/core/types.h")
    assert not sources.allowed("drivers/net/virtio_net/main.c", "kernel/mm/page.h")
    assert not sources.allowed("user/init/main.c", "user/shell/shell.h")
    assert sources.allowed("user/init/main.c", "user/libkpio/kpio.h")
