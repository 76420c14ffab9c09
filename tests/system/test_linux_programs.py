"""Debian's programs, as they are in their packages, on KPIO: shells, coreutils and busybox, sqlite, Python, gcc. A group of commands shares
a boot, whose root is the image of `kpio rootfs`; each command is a test: what it printed and its exit status.
Rust programs are built here."""
import os
import re
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Callable, Optional

from guests import CaseItem, Config, built, stopping
from kpio import command, guest, hostrun, linuxguest
from kpio.errors import KpioError
from kpio.machine import Machine
from kpio.paths import ROOT, cache_folder, inputs_key

CONFIG = Config("release", machine=Machine(cpus=2, net="none"))
SILENCE = 900  # of a busy machine


@dataclass(frozen=True)
class Case:
    name: str
    command: tuple
    output: str = ""        # a pattern for all that is printed
    status: int = 0
    environment: dict = field(default_factory=dict)
    missing: str = ""       # what KPIO lacks for it: a failure is reported as skipped for that reason
    built: Optional[Callable[[], Path]] = None  # makes the program, which goes to the command's place; a KpioError: why it is skipped


def bash(name, script, output, status=0, **rest):
    return Case(name, ("/bin/bash", "-c", script), output, status, **rest)


def python(name, script, output, status=0):
    return Case(name, ("/usr/bin/python3.11", "-c", script), output, status)


def regression(module, *without, only=()):
    """A module of Python's own tests, without those that do not pass: the reason stands beside each use."""
    chosen = [word for option, names in (("-i", without), ("-m", only)) for name in names for word in (option, name)]
    return Case(f"python_{module}", ("/usr/bin/python3.11", "-m", "test", "-v", "-u", "none", *chosen, module),
                r"(?s).*\nRan [1-9]\d* tests? in .*result: SUCCESS.*")


RUST = ROOT / "tests" / "programs" / "threads.rs"
RUST_SAYS = (r"mutexes 59940000\nchannels 14970000\nreaders 3200 3200\nturns 1000\npanics 4 own 168 main 7\ntime true true true\n"
             r"processes \[\(0, Some\(0\)\), \(100000, Some\(1\)\), .*, \(700000, Some\(7\)\)\]\nstreams 50000\nfiles 777 false")


def rust_program(target, *options):
    """Built by rustc, and kept outside the tree."""
    if not shutil.which("rustc"):
        raise KpioError("rustc is not installed")
    sysroot = command.check(["rustc", "--print", "sysroot"]).lines[0]
    library = Path(sysroot, "lib", "rustlib", target)
    if not library.is_dir() and shutil.which("rustup"):
        command.run(["rustup", "target", "add", target], limit=300)
    if not library.is_dir():
        raise KpioError(f"rustc has no standard library for {target} (rustup target add {target})")
    version = command.check(["rustc", "-vV"]).lines[0]
    made = cache_folder("rust") / inputs_key(version, target, *options, RUST)
    if not made.exists():
        with tempfile.TemporaryDirectory(dir=made.parent) as folder:
            command.check(["rustc", "--edition", "2021", "-O", "--target", target, *options, "-o", f"{folder}/made", str(RUST)], limit=600)
            os.replace(f"{folder}/made", made)
    return made


def rust(name, *how):
    return Case(name, (f"/t/{name}",), RUST_SAYS, built=partial(rust_program, *how))


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
    bash("procps", "free | grep -c Mem; uptime | grep -c up; ps | grep -c ' ps$'; cat /proc/loadavg | wc -w", "1\n1\n1\n5"),
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

# Of the sockets there are those of Unix.
PYTHON_TESTS_LONG = [
    regression("test_sqlite3"),
    regression("test_select"),
    regression("test_tempfile"),
    regression("test_shutil"),
    regression("test_socket", only=("*Unix*", "*SocketPair*", "*SCMRightsStream*", "*SendRecvFds*", "*LinuxAbstractNamespace*",
                                    "*CmsgMacro*")),
]

# A database of 100 MB, a transaction for each; the shell is killed while it writes, three times. What was told to be committed is
# there, whole, and nothing of what was not.
SQLITE_KILLED = """
cd /tmp; sqlite3 big.db 'create table t(id integer primary key, part int, data blob)'
write() {
    for part in $(seq $(($(sqlite3 big.db 'select coalesce(max(part), 0) from t') + 1)) 100); do
        echo "begin; insert into t(part, data) with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000)
            select $part, randomblob(1000) from n; commit; select $part;"
    done > write.sql
    exec sqlite3 big.db < write.sql > told
}
check() {
    last=$(tail -n 1 told)
    sqlite3 big.db "select count(*) % 1000, max(part) - count(*) / 1000, max(part) >= $last from t; pragma integrity_check"
}
for enough in 20 45 70; do
    (write) & while test "$(tail -n 1 told 2> /dev/null || echo 0)" -lt $enough 2> /dev/null || ! test -s told; do sleep 0.1; done
    kill -KILL $!; wait $!; echo $?; check; rm told
done
(write); check; sqlite3 big.db 'select count(*), count(distinct part), min(length(data)) from t'; test $(stat -c %s big.db) -gt 100000000
"""
SQLITE_LONG = [bash("sqlite3_killed", SQLITE_KILLED, r"(?s)(?:.*?137\n0\|0\|1\nok\n){3}0\|0\|1\nok\n100000\|100\|1000")]

RUST_PROGRAMS = [
    rust("rust_gnu", "x86_64-unknown-linux-gnu"),
    rust("rust_gnu_static", "x86_64-unknown-linux-gnu", "-C", "target-feature=+crt-static"),
    rust("rust_musl", "x86_64-unknown-linux-musl"),
]

GCC = [
    bash("gcc_hello",
         "cd /tmp; printf '#include <stdio.h>\\nint main(void) { puts(\"hello\"); return 3; }\\n' > h.c; gcc-12 -O1 -o h h.c && "
         "./h", "hello", 3),
    bash("make", "cd /tmp; printf 'h: h.c\\n\\tgcc-12 -o h h.c\\n' > Makefile; touch h.c; make && make; ./h",
         r"(?s)gcc-12 .*up to date.*hello", 3),
]
GROUPS = {"shell": (("shell",), SHELL), "python": (("shell", "python"), PYTHON),
          "python-tests": (("shell", "python"), PYTHON_TESTS), "gcc": (("shell", "gcc"), GCC), "rust": (("shell",), RUST_PROGRAMS)}
LONG_GROUPS = {"python-tests-long": (("shell", "python"), PYTHON_TESTS_LONG), "sqlite-long": (("shell", "python"), SQLITE_LONG)}


class ProgramsItem(CaseItem):
    def __init__(self, group, **rest):
        super().__init__(**rest)
        self.packages, cases = {**GROUPS, **LONG_GROUPS}[group]
        self.cases, self.skipped, self.files = list(cases), {}, {}

    def build_programs(self):
        for case in [case for case in self.cases if case.built]:
            try:
                self.files[case.command[0]] = case.built().read_bytes()
            except KpioError as error:
                self.skipped[case.name] = str(error)
                self.cases.remove(case)

    def work(self):
        self.build_programs()
        variant = built(CONFIG)
        machine = replace(CONFIG.machine, disks=(hostrun.root_disk(self.packages),))
        commands = [linuxguest.Command(case.command, case.environment) for case in self.cases]
        with tempfile.TemporaryDirectory(prefix="kpio-boot-") as folder:
            initrd = Path(folder, "initrd.cpio")
            initrd.write_bytes(linuxguest.archive(variant.initrd.read_bytes(), commands, self.files))
            with guest.Guest(machine, variant.kernel, initrd, f"root=vda kpio.tty=1 {linuxguest.APPEND}") as running:
                for _ in running.follow(SILENCE, None, stopping):
                    pass
                return running.outcome()

    def report_cases(self, outcome, started):
        for name, reason in self.skipped.items():
            self.report(f"::{name}", "skipped", reason, started, 0)
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
    for group in [*GROUPS, *(LONG_GROUPS if long else ())]:
        yield ProgramsItem.from_parent(parent, name=f"programs-{group}", group=group)
