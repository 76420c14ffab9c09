"""Debian's programs, as they are in their packages, on KPIO: shells, coreutils and busybox, sqlite, Python, gcc. A group of commands shares
a boot, whose root is the image of `kpio rootfs`; each command is a test: what it printed and its exit status."""
import re
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Optional

from guests import CaseItem, Config, built, stopping
from kpio import guest, hostrun, linuxguest
from kpio.machine import Machine

CONFIG = Config("release", machine=Machine(cpus=2, net="none"))
SILENCE = 300  # of a busy machine


@dataclass(frozen=True)
class Case:
    name: str
    command: tuple
    output: str = ""        # a pattern for all that is printed
    status: int = 0
    environment: dict = field(default_factory=dict)
    missing: str = ""       # what KPIO lacks for it: a failure is reported as skipped for that reason


def bash(name, script, output, status=0, **rest):
    return Case(name, ("/bin/bash", "-c", script), output, status, **rest)


def python(name, script, output, status=0):
    return Case(name, ("/usr/bin/python3.11", "-c", script), output, status)


def regression(module, *without):
    """A module of Python's own tests, without those that do not pass: the reason stands beside each use."""
    ignored = [word for name in without for word in ("-i", name)]
    return Case(f"python_{module}", ("/usr/bin/python3.11", "-m", "test", "-u", "none", *ignored, module), r"(?s).*result: SUCCESS.*")


SHELL = [
    Case("ls", ("/bin/ls", "-l", "/"), r"(?s).*lib -> usr/lib\n.*\btmp\n.*"),
    Case("cat", ("/bin/cat", "/etc/os-release"), r'(?s).*VERSION_CODENAME=bookworm\n.*'),
    bash("pipes", "echo hi; ls / | sort | head -3", "hi\nbin\nboot\ndev"),
    bash("hundred_programs", "for i in $(seq 100); do /bin/true || exit 1; done; echo $i", "100"),
    bash("process_substitution", "cat <(echo a; echo b) | while read x; do echo got $x; done", "got a\ngot b"),
    bash("signals_and_status", "trap 'echo usr1' USR1; kill -USR1 $$; (exit 3); echo $?", "usr1\n3"),
    bash("kill_a_child", "sleep 5 & kill %1; wait %1; echo $?", "143"),
    bash("here_document", "cat << END | tr a-z A-Z\none $((6 * 7))\nEND", "ONE 42"),
    bash("killed", "kill -KILL $$", "", 137),
    bash("descriptors", "echo out > /dev/stdout; echo err > /dev/stderr; ls /proc/self/fd | head -3", "out\nerr\n0\n1\n2"),
    bash("coreutils", "cd /tmp && mkdir -p d/e && cp /etc/passwd d/e && mv d/e/passwd d/p && ln -s p d/l && stat -c '%F %h' d/l d/p && "
         "sha256sum < d/p | cut -c1-3 | wc -c && rm -r d && test ! -e d && seq 5 | tac | paste -sd, && df / | wc -l && nproc",
         "symbolic link 1\nregular file 1\n4\n5,4,3,2,1\n2\n2"),
    bash("text_tools",
         "grep -c root /etc/passwd; sed -n 's/^root:.*:/root /p' /etc/passwd; awk 'BEGIN { print 2 ^ 10 }'; find /etc -name os-release",
         "1\nroot /bin/bash\n1024\n/etc/os-release"),
    bash("archives",
         "cd /tmp && tar czf a.tgz /etc/pam.d 2> /dev/null && tar tzf a.tgz | grep -c etc/pam.d/; gzip -dc a.tgz | cksum | wc "
         "-l", r"\d+\n1"),
    Case("busybox", ("/bin/busybox", "sh", "-c",
         "i=0; while [ $i -lt 200 ]; do i=$((i + 1)); done; echo $i; busybox find /etc -name passwd | "
                     "busybox xargs busybox wc -l | busybox awk '{ print ($1 > 0) }'; echo abc | busybox sed s/b/x/ | busybox md5sum; "
                     "busybox tar c /etc/passwd 2> /dev/null | busybox gzip | busybox gunzip | busybox tar t; busybox readlink "
                     "/proc/self/exe"),
         r"200\n1\n69f4025e68e1ca4c3bd9fdf84e631cbf  -\netc/passwd\n/usr/bin/busybox"),
    bash("procps", "free | grep -c Mem; uptime | grep -c up; ps | tail -1 | grep -c ps; cat /proc/loadavg | wc -w", "1\n1\n1\n5"),
    bash("limits", "ulimit -n 20; ulimit -n; exec 30< /dev/null", r"(?s)20\n.*Bad file descriptor.*", 1),
    bash("ids", "id -u; whoami; umask", "0\nroot\n0022"),
]

PYTHON = [
    python("python_print", "print(1)", "1"),
    python("python_threads", "import threading\nl = []\nts = [threading.Thread(target=l.append, args=(i,)) for i in range(50)]\n"
           "[t.start() for t in ts]; [t.join() for t in ts]; print(len(l), sum(l))", "50 1225"),
    python("python_subprocess", "import subprocess as s\nprint(s.run(['ls', '/'], capture_output=True, text=True).stdout.split()[:2])\n"
           "print(s.check_output('echo a | tr a b', shell=True), s.call(['sh', '-c', 'exit 5']))", r"\['bin', 'boot'\]\nb'b\\n' 5"),
    python("python_sqlite3", "import sqlite3\nc = sqlite3.connect('/tmp/a.db')\nc.execute('create table t(a)')\n"
           "c.executemany('insert into t values(?)', [(i,) for i in range(1000)]); c.commit()\n"
           "print(c.execute('select sum(a) from t').fetchall(), c.execute('pragma integrity_check').fetchall())",
                  r"\[\(499500,\)\] \[\('ok',\)\]"),
    Case("sqlite3", ("/usr/bin/sqlite3", "/tmp/b.db",
         "create table t(a); insert into t values (1), (2); select sum(a) from t; pragma integrity_check;"),
         "3\nok"),
    python("python_asyncio", "import asyncio; print(asyncio.run(asyncio.sleep(0.05, 'slept')))", "slept"),
    python("python_socketpair", "import socket; a, b = socket.socketpair(); a.send(b'x'); print(b.recv(4))", "b'x'"),
]

PYTHON_TESTS = [
    # test_access_parameter maps a file shared and executable, which needs the JIT right.
    regression("test_mmap", "test_access_parameter"),
    # These two make sockets of the network, which is not there.
    regression("test_signal", "test_invalid_socket", "test_set_wakeup_fd_socket_result"),
    regression("test_threading"),
    regression("test_subprocess"),
]

GCC = [
    bash("gcc_hello",
         "cd /tmp; printf '#include <stdio.h>\\nint main(void) { puts(\"hello\"); return 3; }\\n' > h.c; gcc-12 -O1 -o h h.c && "
         "./h", "hello", 3),
    bash("make", "cd /tmp; printf 'h: h.c\\n\\tgcc-12 -o h h.c\\n' > Makefile; touch h.c; make && make; ./h",
         r"(?s)gcc-12 .*up to date.*hello", 3),
]
GROUPS = {"shell": (("shell",), SHELL), "python": (("shell", "python"), PYTHON),
          "python-tests": (("shell", "python"), PYTHON_TESTS), "gcc": (("shell", "gcc"), GCC)}


class ProgramsItem(CaseItem):
    def __init__(self, group, **rest):
        super().__init__(**rest)
        self.packages, self.cases = GROUPS[group]

    def work(self):
        variant = built(CONFIG)
        machine = replace(CONFIG.machine, disks=(hostrun.root_disk(self.packages),))
        commands = [linuxguest.Command(case.command, case.environment) for case in self.cases]
        with tempfile.TemporaryDirectory(prefix="kpio-boot-") as folder:
            initrd = Path(folder, "initrd.cpio")
            initrd.write_bytes(linuxguest.archive(variant.initrd.read_bytes(), commands, {}))
            with guest.Guest(machine, variant.kernel, initrd, f"root=vda kpio.tty=1 {linuxguest.APPEND}") as running:
                for _ in running.follow(SILENCE, None, stopping):
                    pass
                return running.outcome()

    def report_cases(self, outcome, started):
        ran = linuxguest.runs(outcome.lines)
        for number, case in enumerate(self.cases):
            flaw = flaw_of(case, ran[number] if number < len(ran) else None)
            detail = f"{flaw}\n{outcome.report()}" if flaw and number >= len(ran) - 1 else flaw
            result = "passed" if not flaw else "skipped" if case.missing else "failed"
            self.report(f"::{case.name}", result, f"needs {case.missing}" if result == "skipped" else detail, started, 0)


def flaw_of(case: Case, ran: Optional[linuxguest.Ran]) -> Optional[str]:
    if ran is None or ran.code is None:
        return "it did not end"
    printed = "\n".join(ran.lines)
    if ran.code != case.status:
        return f"its exit status is {ran.code}, not {case.status}; it printed\n{printed}"
    return None if re.fullmatch(case.output, printed) else f"it printed\n{printed}\nbut this was expected\n{case.output}"


def items(parent, long):
    for group in GROUPS:
        yield ProgramsItem.from_parent(parent, name=f"programs-{group}", group=group)
