"""`kpio shell` on a pseudo-terminal: bash, job control, full-screen programs, the window's size, the exit status."""
import re
import subprocess
import sys
import termios
import time

import pytest
from kpio.paths import ROOT
from terminal import Terminal

SHELL = [sys.executable, str(ROOT / "kpio"), "shell"]
PROMPT = r"# $"
LIMIT = 300  # seconds, of a busy machine
pytestmark = pytest.mark.usefixtures("root")


@pytest.fixture(scope="module")
def shell(root):
    opened = Terminal([*SHELL, "--smp", "2"], TERM="xterm-256color")
    opened.read_until(PROMPT)
    yield opened
    opened.close()


def run(shell, line, prompt=PROMPT):
    """What a command prints."""
    shell.type(line + "\r")
    said = shell.read_until(rf"\n(?s:.*){prompt}")
    return re.sub(r"\x1b\[\?2004[hl]\r?", "", said).replace("\r", "").partition("\n")[2].rpartition("\n")[0]


def test_commands(shell):
    assert run(shell, "ls -d /bin /etc").split() == ["/bin", "/etc"]
    assert run(shell, "seq 10 | tac | head -2 | paste -sd,") == "10,9"
    assert run(shell, "(exit 3); echo $?") == "3"
    assert run(shell, "pwd; echo $TERM") == "/root\nxterm-256color"


def test_window(shell):
    assert run(shell, "tty; stty size") == "/dev/console\n30 100"
    shell.resize(40, 120)
    deadline = time.monotonic() + LIMIT
    while run(shell, "stty size") != "40 120":  # it is told beside the keys, sooner or later
        assert time.monotonic() < deadline
    assert run(shell, "stty size; tput cols") == "40 120\n120"


def begin_sleep(shell):
    """A program in the foreground that has begun to run: what is typed before is the shell's."""
    shell.type("sh -c 'echo $((41+1)); exec sleep 100'\r")
    shell.read_until(r"42\r\n")


def test_interrupt(shell):
    begin_sleep(shell)
    shell.type("\x03")
    shell.read_until(PROMPT)
    assert run(shell, "echo $?") == "130"


# Says when it is no more, and when it is again, in the foreground: the shell gives the terminal away behind the line that it prints.
JOB = r"""in_front() { set -- $(cat /proc/$$/stat); test $5 = $8; }
echo $((41+1))
while in_front; do sleep 0.1; done
touch /tmp/behind
until in_front; do sleep 0.1; done
echo $((42+1))
exec sleep 100
"""


def test_job_control(shell):
    run(shell, f"cat > /tmp/job << 'END'\n{JOB}END")
    shell.type("sh /tmp/job\r")
    shell.read_until(r"42\r\n")
    shell.type("\x1a")
    shell.read_until(rf"Stopped(?s:.*){PROMPT}")
    assert re.search(r"\[1\]\+\s+Stopped\s+sh /tmp/job", run(shell, "jobs"))
    assert re.search(r"\[1\]\+ sh /tmp/job &", run(shell, "bg"))
    assert "Running" in run(shell, "jobs")
    run(shell, "until test -e /tmp/behind; do sleep 0.1; done")
    shell.type("fg\r")
    shell.read_until(r"sh /tmp/job\r\n(?s:.*)43\r\n")
    shell.type("\x03")
    shell.read_until(PROMPT)
    assert run(shell, "jobs; echo $?") == "0"


def test_processes_of_the_session(shell):
    run(shell, "sleep 1000 & ( : ) & wait $!; until ps -o stat,args | grep -q '^S *sleep 1000$'; do sleep 0.1; done")
    listed = run(shell, "ps -o pid,ppid,tty,stat,args")
    found = re.search(r"^ *(\d+) +(\d+) console +S +sleep 1000$", listed, re.M)
    assert found and re.search(rf"^ *{found[2]} +1 console +Ssl?.* /bin/bash -l$", listed, re.M), listed
    assert run(shell, "readlink /proc/$!/exe /proc/$$/exe") == "/usr/bin/bash", "one of the two has ended and is not told of"
    sleeping = f"/proc/{found[1]}"
    assert run(shell, f"cat {sleeping}/comm; tr '\\0' , < {sleeping}/cmdline; readlink {sleeping}/exe").split() == \
        ["sleep", "sleep,1000,/usr/bin/sleep"]
    assert run(shell, f"stat -c '%F %U' {sleeping} {sleeping}/stat") == "directory root\nregular empty file root"
    assert "Permission denied" in run(shell, f"cat {sleeping}/environ")
    assert run(shell, "pgrep -x sleep") == found[1]
    run(shell, f"kill -STOP {found[1]}; until ps -o stat= -p {found[1]} | grep -q '^T'; do sleep 0.1; done")
    assert re.search(rf"^ *{found[1]} root .* sleep$", run(shell, "top -b -n 1"), re.M)
    run(shell, f"kill -CONT {found[1]}")
    assert "Terminated" in run(shell, f"pkill sleep; wait {found[1]}; jobs")
    assert run(shell, f"cat {sleeping}/stat").endswith("No such file or directory")
    assert run(shell, "pgrep -x sleep; echo $?") == "1"


def test_ktrace(shell):
    told = run(shell, "ktrace cat /etc/hostname")
    assert re.search(r'\] openat\(-100, "/etc/hostname", 0, 0\) = 3\n', told) and "\nkpio\n" in told, told
    assert re.search(r'\] write\(1, "kpio\\n", 5\) = 5\n', told) and re.search(r"\] exit_group\(0\)$", told), told
    assert len(set(re.findall(r"^\[(\d+)\] ", told, re.M))) == 1
    assert run(shell, "ktrace -o /tmp/trace sh -c 'cat /nosuch 2> /dev/null; exit 7'; echo $?") == "7"
    assert run(shell, "grep -c nosuch /tmp/trace; grep -c 'exit_group(7)' /tmp/trace") == "0\n1", "of the child nothing is told"
    assert run(shell, "ktrace -f -o /tmp/trace sh -c 'cat /nosuch 2> /dev/null; exit 7'; echo $?") == "7"
    assert run(shell, "grep -c 'openat.*nosuch.*-ENOENT' /tmp/trace; cut -d' ' -f1 /tmp/trace | sort -u | wc -l") == "1\n2"
    assert run(shell, "ktrace -o /tmp/trace sh -c 'kill -9 $$'; echo $?").endswith("137")
    assert run(shell, "ktrace nosuch; echo $?").endswith("127")
    assert run(shell, "ktrace -x ls 2> /dev/null; echo $?") == "2"


def test_ktrace_of_native_calls(shell):
    assert run(shell, "ktrace --native -o /tmp/trace cat /etc/hostname; echo $?") == "kpio\n0"
    trace = run(shell, "grep -B1 -e '/etc/hostname' -e 'read(3, .* = 5' /tmp/trace")
    assert re.search(r"\]     path_open\(0x\w+, 0x\w+, 1024, 0, 1\) = 0x81a4\w+\n\[\d+\] openat\(-100, \"/etc/hostname\"", trace), trace
    assert re.search(r"\]     file_read\(0x\w+, 0x\w+, 0x20000, 0xf+\) = 5\n\[\d+\] read\(3, 0x\w+, 131072\) = 5", trace), trace
    assert run(shell, "ktrace -f --native -o /tmp/trace sh -c 'true | cat /etc/hostname'; echo $?") == "kpio\n0"
    assert int(run(shell, "grep -c process_fork /tmp/trace")) >= 2


def test_editor(shell):
    shell.type("vim.tiny /tmp/note\r")
    shell.read_until(r"\[New\](?s:.*)\x1b\[\?25h")
    shell.type("ihello\x1b")
    shell.type(":wq\r")
    shell.read_until(rf"written(?s:.*){PROMPT}")
    assert run(shell, "cat /tmp/note") == "hello"


def test_pager(shell):
    shell.type("seq 300 | less\r")
    shell.read_until(r":\x1b\[K$")
    shell.type("G")
    assert "300" in shell.read_until(r"\(END\)")
    shell.type("q")
    shell.read_until(PROMPT)


def test_what_is_pasted_arrives_whole(shell):
    lines = "".join(f"{number:06}\n" for number in range(2000))
    shell.type("stty -echo; echo $((41+1)); cat > /tmp/pasted; stty echo\r")
    shell.read_until(r"42\r\n")
    for at in range(0, len(lines), 500):
        shell.type(lines[at:at + 500])
    shell.type("\x04")
    shell.read_until(PROMPT)
    assert run(shell, "wc < /tmp/pasted; tail -1 /tmp/pasted").split() == ["2000", "2000", "14000", "001999"]


def test_every_byte_reaches_the_screen(shell):
    shell.type("printf 'a\\377b\\377\\377c\\n'\r")
    assert "a\ufffdb\ufffd\ufffdc\r\n" in shell.read_until(rf"c\r\n(?s:.*){PROMPT}")


def test_exit_status():
    opened = Terminal([*SHELL, "--smp", "1"])
    try:
        opened.read_until(PROMPT)
        assert termios.tcgetattr(opened.fd) != opened.before, "keys go to the guest as they are"
        opened.type("exit 203\r")
        assert opened.status() == 203
        assert termios.tcgetattr(opened.fd) == opened.before
    finally:
        opened.close()


def test_leaving_at_once():
    opened = Terminal([*SHELL, "--smp", "1"])
    try:
        opened.read_until(PROMPT)
        opened.type("cat\r")
        opened.read_until(r"cat\r\n")
        opened.type("~")
        opened.type(".")
        assert opened.status() == 1
        assert "the machine was ended" in opened.text
    finally:
        opened.close()


def test_without_a_terminal():
    ran = subprocess.run([*SHELL, "-c", "sleep 9 & kill $!; wait $!; echo $?; pwd; echo e >&2; exit 7"], stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, timeout=LIMIT)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("143\n/root\n", "e\n", 7)
    ran = subprocess.run(SHELL, input="read x\nline\necho got $x | tr a-z A-Z\n", capture_output=True, text=True, timeout=LIMIT)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("GOT LINE\n", "", 0)


def test_options_that_do_not_go_together():
    ran = subprocess.run([*SHELL, "--monitor", "-c", "ls"], capture_output=True, text=True, timeout=LIMIT)
    assert ran.returncode == 2 and "--monitor" in ran.stderr
