shown='stty -a; tty; ls --color; setsid -w echo x; tput cols; clear; reset; bash -i -c "fg; jobs; exit"; ps; top -b -n 1'
python3 -c "import pty, sys; pty.spawn(['/bin/bash', '-c', sys.argv[1]])" "$shown" < /dev/null
seq 1000 > /tmp/text
python3 -c "import os, pty, time
pid, fd = pty.fork()
if pid == 0:
    os.execv('/bin/sh', ['sh', '-c', 'less /tmp/text; vim.tiny /tmp/text; more /tmp/text; top'])
for keys in (b' ', b'/500\n', b'q', b'ihello\x1b:w\n', b':!ls\n', b'\n', b':wq\n', b' ', b'q', b'q'):
    time.sleep(0.7)
    os.write(fd, keys)
    os.read(fd, 65536)
"
