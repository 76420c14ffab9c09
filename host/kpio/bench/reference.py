"""What the kernel benchmarks are compared with: seL4 and Linux as measured once, and the reach that KPIO aims at.

seL4 16.0.0-dev, x86-64 release, kernel side only; Linux 6.1, Debian's cloud kernel with its defaults; both in the same
QEMU, in instructions.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Optional, Union


@dataclass(frozen=True)
class Reference:
    name: str
    what: str
    reach: Union[int, Callable[[dict], Optional[float]]]  # a number, or worked out from the other results
    sel4: str = ""
    linux: Optional[int] = None
    linux_test: str = ""  # the test of tests/bench/linux/bench.c that does the same work
    unit: str = "insns"

    def limit(self, results: dict) -> Optional[float]:
        """The reach as a number; None where the result that it depends on is missing."""
        return self.reach(results) if callable(self.reach) else self.reach


def above(name: str, factor: float = 1.0, plus: float = 0.0) -> Callable[[dict], Optional[float]]:
    """A reach that depends on another result."""
    return lambda results: results[name]["value"] * factor + plus if name in results else None


KIB, MIB = 1 << 10, 1 << 20
KERNEL = [
    Reference("null_syscall", "cheapest system call", 55, "86", 362, "null_syscall"),
    Reference("ipc_call_cross", "call + reply between two processes, 0 bytes, FPU state kept", 430,
              "432 (MCS 534)", 10_282, "pipe_pingpong_process_1B"),
    Reference("ipc_call_cross_64", "the same with 64 bytes each way", 520, "1,591", 19_754,
              "socketpair_pingpong_process_64B"),
    Reference("ipc_call_cross_deadline", "0 bytes with a deadline", above("ipc_call_cross", plus=80)),
    Reference("ipc_call_same", "between two threads of one process", 410, "428", 10_238, "pipe_pingpong_thread_1B"),
    Reference("ipc_call_4k", "4,096 bytes each way", 1_800, "2,741 (120 words)"),
    Reference("event_wake", "signal; the waiter in another process runs and waits again", 800, "987", 8_340,
              "eventfd_pingpong_thread"),
    Reference("futex_pingpong", "round trip between two threads", 1_600, "", 6_901, "futex_pingpong_thread"),
    Reference("counter_pingpong", "a number to another thread and back, through two counters", 2_000, "", 8_340,
              "eventfd_pingpong_thread"),
    Reference("pipe_pingpong", "a byte to another process and back, through two pipes", 1_800, "", 10_282,
              "pipe_pingpong_process_1B"),
    Reference("wait_many_wake", "signal; another process waits for two events, takes it, and waits again", 2_000),
    Reference("fault_upcall_return", "fault to the thread's own exception entry and back", 700, "1,395"),
    Reference("page_fault_anon", "touch a fresh 4 KiB page", 950, "", 3_129, "page_fault_anon_4k"),
    Reference("map_unmap", "map and unmap one page, untouched", 1_100, "1,345", 10_802, "mmap_munmap_4k"),
    Reference("map_unmap_anon", "the same with memory of its own, made and given back", 1_500, "", 10_802, "mmap_munmap_4k"),
    Reference("slub_alloc_free", "64-byte object, in the kernel", 45),
    Reference("page_alloc_free", "order 0, in the kernel", 60),
    Reference("handle_dup_close", "duplicate a handle and close it", 280, "1,565"),
    Reference("revoke_1000", "per handle, a subtree of 1,000 over 10 processes", 150),
    Reference("thread_create_join", "create a thread and join it", 5_000, "6,805", 63_084, "thread_create_join"),
    Reference("thread_create_fresh", "the same where no ended thread left its pages", 6_805, "6,805"),
    Reference("process_spawn_exit", "spawn a minimal ELF and collect it", 35_000, "", 237_095, "fork_exec_wait"),
    Reference("process_fork_exit", "fork with 20 mappings and 20 handles, exit, collect", 40_000),
    Reference("boot_to_init", "first kernel instruction to init's first, 1 GiB", 5_000_000, "1,390,000",
              1_529_387_147, "boot_to_init"),
    Reference("boot_to_init_8g", "the same with 8 GiB", above("boot_to_init", factor=1.1)),
    Reference("frames_batch_64", "one 1,500-byte frame sent and one received, in batches of 64", 1_500),
    Reference("kernel_image", "text + data", 800 * KIB, unit="bytes"),
    Reference("memory_after_init", "page array and WASM pool apart", 8 * MIB, unit="bytes"),
]
